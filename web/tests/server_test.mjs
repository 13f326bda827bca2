// The page with a real server: r1 serve and the bundled model. R1_BINARY names another program.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { answered, ask, launchBrowser, openPage } from "./browser.mjs";

const root = join(fileURLToPath(import.meta.url), "../../..");
const binary = process.env.R1_BINARY ?? join(root, "build/release/src/cli/r1");
const missing = existsSync(binary) ? false : `${binary} is not built`;

let server;
let address;
let browser;
let page;

before(async () => {
  if (missing) return;
  server = spawn(binary, ["serve", join(root, "models/r1-zero-nano"), "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  address = await new Promise((resolve, reject) => {
    server.once("exit", (code) => reject(new Error(`r1 serve ended with ${code}`)));
    server.stdout.on("data", (text) => {
      const url = /Serving at (\S+)/.exec(String(text))?.[1];
      if (url) resolve(`${url.replace(/\/$/, "")}/`);
    });
  });
  browser = await launchBrowser();
  page = await openPage(browser, address);
});
after(async () => {
  await browser?.close();
  if (!server) return;
  server.removeAllListeners("exit");
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill();
  const overdue = setTimeout(() => server.kill("SIGKILL"), 20000);
  await ended;
  clearTimeout(overdue);
});

test("the server sends the page with the policy that it was tested under", { skip: missing }, async () => {
  const response = await fetch(address);
  assert.match(response.headers.get("content-security-policy"), /^default-src 'none'; script-src 'self';.*require-trusted-types-for/);
  const again = await fetch(address, { headers: { "if-none-match": response.headers.get("etag") } });
  assert.equal(again.status, 304);
  const html = await response.text();
  for (const [, path] of html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)) {
    const asset = await fetch(address + path);
    assert.equal(asset.status, 200, path);
    assert.match(asset.headers.get("cache-control"), /immutable/);
  }
});

test("a model thinks, answers, and shows its tokens", { skip: missing }, async () => {
  assert.equal(await page.locator(".model-choice").inputValue(), "r1-zero-nano");
  await page.click("text=Settings");
  await page.getByLabel("Seed").fill("1");
  await page.getByLabel("Temperature").fill("0");
  await page.keyboard.press("Escape");
  await ask(page, "Solve 3x + 7 = 31 for x.");
  await answered(page);
  const message = page.locator(".message.assistant");
  assert.match(await message.locator(".thinking-toggle").innerText(), /Thought for [\d.]+ s\s*· \d+ tokens/);
  assert.match(await message.locator("> .prose").innerText(), /8/);
  assert.match(await message.locator(".statistics").innerText(), /\d+ tokens · [\d,]+ tokens\/s · prompt \d+/);

  await page.click(".inspect-button");
  const told = Number(/(\d+) tokens/.exec(await message.locator(".thinking-toggle").innerText())[1]);
  const shown = await message.locator(".thinking .token").count();
  assert.ok(shown > 5 && Math.abs(shown - told) <= 2, `${shown} tokens shown, ${told} told`); // the tags are not shown
  await message.locator(".token").nth(3).hover();
  assert.ok((await page.locator(".alternatives tbody tr").count()) >= 5);
  await page.click(".inspect-button");
});

test("the same seed gives the same answer again, as a second version", { skip: missing }, async () => {
  const texts = async () => {
    const toggle = page.locator(".thinking-toggle");
    if ((await toggle.getAttribute("aria-expanded")) === "false") await toggle.click();
    return page.locator(".message.assistant .prose").allInnerTexts();
  };
  const first = await texts();
  assert.equal(first.length, 2);
  await page.click(".regenerate");
  await answered(page);
  assert.match(await page.locator(".versions").innerText(), /2\/2/);
  assert.deepEqual(await texts(), first);
});

test("a follow-up, a language, a limit", { skip: missing }, async () => {
  await page.click("text=Settings");
  await page.getByLabel("Maximum tokens").fill("4");
  await page.getByLabel("中文").check();
  await page.keyboard.press("Escape");
  await ask(page, "计算 47 * 6 - 19。");
  await answered(page);
  assert.match(await page.locator(".message.assistant").last().innerText(), /已达到词元上限/);
});

test("the dashboard counts what was asked", { skip: missing }, async () => {
  await page.goto(`${address}#/dashboard`);
  await page.waitForFunction(() => Number(document.querySelectorAll(".tile dd")[6]?.innerText) >= 3);
  assert.deepEqual(page.complaints, []);
});
