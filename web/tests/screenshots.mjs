#!/usr/bin/env node
// Takes the pictures of docs/web.md, of the test double. Those of Inspect show a real model's tokens
// when the address of a running r1 serve is given: `npm run screenshots ADDRESS`.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { answered, ask, launchBrowser, openPage } from "./browser.mjs";
import { startMockServer } from "./mock_server.mjs";

const images = join(fileURLToPath(import.meta.url), "../../../docs/images");
const desktop = { viewport: { width: 1120, height: 700 } };
const phone = { viewport: { width: 360, height: 720 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 };

mkdirSync(images, { recursive: true });
const mock = await startMockServer(0, { busy: true });
const real = process.argv[2];
const browser = await launchBrowser();

async function picture(name, options, steps, address = mock.address) {
  const page = await openPage(browser, address, { reducedMotion: "reduce", ...options });
  await steps(page);
  await page.screenshot({ path: join(images, `page-${name}.png`) });
  await page.context().close();
}

const question = "Find the roots of x² − 3x + 2.";
const forNano = "What is the greatest common divisor of 84 and 36?";
const toTop = (page) => page.evaluate(() => (document.querySelector(".chat .scroller").scrollTop = 0));

await picture("thinking", desktop, async (page) => {
  await ask(page, "plain hello");
  await answered(page);
  await page.click(".new-chat");
  await ask(page, question);
  await page.waitForFunction(() => document.querySelector(".thinking.streaming .prose")?.innerText.length > 100);
});
await picture("answer", { ...desktop, colorScheme: "dark" }, async (page) => {
  await ask(page, question);
  await answered(page);
  await page.click(".thinking-toggle");
  await toTop(page);
  await page.mouse.move(5, 5);
});
await picture("inspect", desktop, async (page) => {
  await ask(page, real ? forNano : question);
  await answered(page);
  await page.click(".inspect-button");
  await toTop(page);
  await page.locator(".token.level-4, .token.level-5, .token.level-6").first().hover();
}, real);
await picture("dashboard", desktop, async (page) => {
  await page.goto(`${mock.address}#/dashboard`);
  await page.waitForTimeout(12000);
  await page.evaluate(() => (document.querySelector(".dashboard").scrollTop = 60));
});
await picture("phone", phone, async (page) => {
  await ask(page, question);
  await answered(page);
  await page.click(".thinking-toggle");
  await toTop(page);
});
await picture("phone-inspect", { ...phone, colorScheme: "dark" }, async (page) => {
  await ask(page, real ? forNano : question);
  await answered(page);
  await page.click(".inspect-button");
  await toTop(page);
  await page.locator(".token.level-4, .token.level-5, .token.level-6").first().tap();
}, real);
await picture("chinese", { ...phone, locale: "zh-CN", colorScheme: "dark" }, async (page) => {
  await ask(page, "解方程 3x + 7 = 31。");
  await answered(page);
  await page.click(".thinking-toggle");
});

await browser.close();
await mock.stop();
