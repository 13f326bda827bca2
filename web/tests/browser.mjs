import { chromium } from "playwright-core";

/** Debian's Chromium, without the background traffic of a desktop browser. */
export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * A page in a fresh profile. What it logs as an error, throws, or asks of another host is collected
 * in `page.complaints`.
 */
export async function openPage(browser, address, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1200, height: 800 },
    locale: "en-GB",
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== new URL(address).origin) page.complaints.push(request.url());
  });
  page.setDefaultTimeout(Number(process.env.PAGE_TIMEOUT ?? 60000));
  await page.goto(address);
  await page.waitForSelector(".model-choice option:not([value=''])", { state: "attached" });
  return page;
}

export async function ask(page, text) {
  await page.fill("#composer", text);
  await page.press("#composer", "Enter");
}

/** Waits until the last answer is complete, also when it failed. */
export async function answered(page) {
  await page.waitForSelector(".send.stop", { state: "detached" });
  await page.waitForSelector(".message.assistant:last-child .message-bar");
}
