// The page in a real browser, against the test double.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { answered, ask, launchBrowser, openPage } from "./browser.mjs";
import { startMockServer } from "./mock_server.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let server;
let page;

before(async () => {
  browser = await launchBrowser();
  server = await startMockServer();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
beforeEach(() => {
  Object.assign(server.options, { key: null, refuse: null, busy: false });
  server.requests.length = 0;
});
afterEach(async () => {
  await page?.context().close();
  page = null;
});

async function open(options) {
  page = await openPage(browser, server.address, options);
  return page;
}

const lastAnswer = () => page.locator(".message.assistant").last();
const texts = (selector) => page.locator(selector).allInnerTexts();

async function violations() {
  await page.evaluate(axe);
  // The policy that forbids foreign scripts forbids nothing to the test, which speaks to the browser.
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}

describe("asking", () => {
  test("the thinking is open while it streams and folds when the answer begins", async () => {
    await open();
    await ask(page, "a slow question");
    await page.waitForSelector(".thinking.streaming .thinking-body:not([hidden])");
    assert.match(await page.locator(".thinking-toggle").innerText(), /^Thinking\s*\d+(\.\d)? s · \d+ tokens$/);
    const early = Number(/(\d+) tokens/.exec(await page.locator(".thinking-count").innerText())[1]);
    await page.waitForFunction((count) => Number(/(\d+) tokens/.exec(document.querySelector(".thinking-count").innerText)[1]) > count, early);
    await page.waitForSelector(".thinking:not(.streaming)");
    assert.equal(await page.locator(".thinking-toggle").getAttribute("aria-expanded"), "false");
    assert.match(await page.locator(".thinking-toggle").innerText(), /^Thought for \d+(\.\d)? s\s*· \d+ tokens$/);
    await page.waitForSelector(".message.assistant .prose");
    await page.click(".send.stop");
    assert.deepEqual(page.complaints, []);
  });

  test("thinking that the reader opened stays open", async () => {
    await open();
    await ask(page, "a slow question");
    await page.waitForSelector(".thinking.streaming");
    await page.click(".thinking-toggle");
    await page.click(".thinking-toggle");
    await page.waitForSelector(".thinking:not(.streaming)");
    assert.equal(await page.locator(".thinking-toggle").getAttribute("aria-expanded"), "true");
    await page.click(".send.stop");
  });

  test("Markdown, code and formulas are set", async () => {
    await open();
    await ask(page, "roots");
    await answered(page);
    const answer = lastAnswer().locator("> .prose");
    assert.equal(await answer.locator(".katex-display").count(), 2);
    assert.ok((await answer.locator(".katex").count()) >= 8);
    assert.match(await answer.innerText(), /It costs \$5 and not \$10\./);
    assert.equal(await answer.locator(".code .hljs-keyword").first().innerText(), "def");
    assert.equal(await answer.locator("table td").count(), 6);
    assert.equal(await answer.locator("input[type=checkbox]").count(), 2);
    await answer.locator(".copy").click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^def roots\(a: float/);
    assert.deepEqual(page.complaints, []);
  });

  test("what grew piece by piece equals what is rendered at once", async () => {
    await open();
    await ask(page, "roots");
    await answered(page);
    const streamed = await lastAnswer().locator("> .prose").innerText();
    await page.reload();
    await answered(page);
    assert.equal(await lastAnswer().locator("> .prose").innerText(), streamed);
  });

  test("Enter during the composition of a word does not send", async () => {
    await open();
    await page.fill("#composer", "ni hao");
    await page.evaluate(() => {
      const event = new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true });
      document.getElementById("composer").dispatchEvent(event);
    });
    assert.equal(server.requests.length, 0);
    assert.equal(await page.locator("#composer").inputValue(), "ni hao");
  });

  test("stopping ends the answer and the request", async () => {
    await open();
    await ask(page, "a slow question");
    await page.waitForSelector(".thinking.streaming");
    await page.keyboard.press("Escape");
    await answered(page);
    assert.match(await lastAnswer().innerText(), /You stopped this answer\./);
    const thought = await page.locator(".thinking-body").innerText();
    await page.waitForTimeout(200);
    assert.equal(await page.locator(".thinking-body").innerText(), thought);
  });

  test("an answer goes on while another conversation is looked at", async () => {
    await open();
    await ask(page, "a slow question");
    await page.waitForSelector(".thinking.streaming");
    await page.click(".new-chat");
    await ask(page, "plain");
    await answered(page);
    assert.match(await lastAnswer().innerText(), /No thinking was needed\./);
    await page.click(".conversations a:has-text('slow')");
    await page.waitForFunction(() => document.querySelector(".message.assistant .prose")?.innerText.includes("Line 2"));
    await page.click(".send.stop");
  });

  test("an answer that ends in its thinking says so", async () => {
    await open();
    await ask(page, "limit");
    await answered(page);
    assert.match(await lastAnswer().innerText(), /too long for its[\s\S]*Ended at the limit of tokens/);
  });
});

describe("versions", () => {
  test("regenerating keeps the earlier answer, editing the earlier question", async () => {
    await open();
    await ask(page, "plain");
    await answered(page);
    await page.click(".regenerate");
    await answered(page);
    assert.match(await lastAnswer().locator(".versions").innerText(), /2\/2/);
    await page.click("[aria-label='Previous version']");
    assert.match(await lastAnswer().locator(".versions").innerText(), /1\/2/);

    await page.hover(".message.user");
    await page.click(".message.user .edit");
    await page.fill(".edit-form textarea", "limit");
    await page.click(".edit-form [type=submit]");
    await answered(page);
    assert.deepEqual(await texts(".bubble"), ["limit"]);
    assert.match(await lastAnswer().innerText(), /too long for its/);
    await page.hover(".message.user");
    await page.click(".message.user [aria-label='Previous version']");
    assert.deepEqual(await texts(".bubble"), ["plain"]);
    assert.match(await lastAnswer().innerText(), /No thinking was needed/);
  });

  test("a follow-up carries the shown branch without its thinking", async () => {
    await open();
    await ask(page, "Solve it.");
    await answered(page);
    await ask(page, "plain");
    await answered(page);
    const { messages } = server.requests.at(-1);
    assert.deepEqual(messages.map(({ role }) => role), ["user", "assistant", "user"]);
    assert.match(messages[1].content, /^Subtract 7/);
    assert.deepEqual(Object.keys(messages[1]), ["role", "content"]);
  });

  test("arrow up in the empty field edits the last question", async () => {
    await open();
    await ask(page, "plain");
    await answered(page);
    await page.press("#composer", "ArrowUp");
    assert.equal(await page.locator(".edit-form textarea").inputValue(), "plain");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".edit-form").count(), 0);
  });
});

describe("conversations", () => {
  test("outlive a reload, can be found, renamed, exported and deleted", async () => {
    await open();
    for (const text of ["plain bread", "plain butter"]) {
      await page.click(".new-chat");
      await ask(page, text);
      await answered(page);
    }
    await page.reload();
    await page.waitForSelector(".conversations a");
    assert.deepEqual(await texts(".conversation-title"), ["plain butter", "plain bread"]);
    assert.deepEqual(await texts(".bubble"), ["plain butter"]);

    await page.fill("#search", "BREAD");
    assert.deepEqual(await texts(".conversation-title"), ["plain bread"]);
    await page.click(".conversations a");
    await page.fill(".title", "Rye");
    await page.press(".title", "Enter");
    await page.fill("#search", "");
    await page.waitForFunction(() => document.querySelector(".conversations").innerText.includes("Rye"));

    await page.click(".menu summary");
    const saved = page.waitForEvent("download");
    await page.click("text=Export as Markdown");
    const file = await saved;
    assert.equal(file.suggestedFilename(), "Rye.md");
    assert.match(readFileSync(await file.path(), "utf8"), /^# Rye\n\n## You\n\nplain bread\n\n## Model\n\nNo thinking/);

    await page.click("text=Delete conversation");
    await page.click("dialog .danger");
    await page.waitForFunction(() => !document.querySelector(".conversations").innerText.includes("Rye"));
    await page.reload();
    await page.waitForSelector(".conversations a");
    assert.deepEqual(await texts(".conversation-title"), ["plain butter"]);
  });

  test("an exported file can be imported, another file is refused", async () => {
    await open();
    await ask(page, "Solve it.");
    await answered(page);
    await page.click("text=Settings");
    const saved = page.waitForEvent("download");
    await page.click("text=Export all");
    const file = readFileSync(await (await saved).path());
    await page.click("text=Delete all");
    await page.click("dialog dialog .danger");
    await page.waitForFunction(() => document.querySelectorAll(".conversations a").length === 0);

    await page.setInputFiles("input[type=file]", { name: "x.json", mimeType: "application/json", buffer: Buffer.from('{"a":1}') });
    await page.waitForSelector(".field-error");
    await page.setInputFiles("input[type=file]", { name: "c.json", mimeType: "application/json", buffer: file });
    await page.waitForSelector(".conversations a");
    await page.keyboard.press("Escape");
    await page.click(".conversations a");
    await page.waitForSelector(".message.assistant");
    assert.match(await lastAnswer().innerText(), /Thought for/);
  });
});

describe("settings", () => {
  test("sampling settings are sent and remembered; empty ones are left out", async () => {
    await open();
    await ask(page, "plain");
    await answered(page);
    assert.deepEqual(Object.keys(server.requests[0]).sort(), ["logprobs", "messages", "model", "stream", "stream_options", "top_logprobs"]);
    await page.click("text=Settings");
    const fill = (label, value) => page.getByLabel(label, { exact: true }).fill(value);
    await fill("Temperature", "0.6");
    await fill("Top-p", "0.95");
    await fill("Top-k", "40");
    await fill("Seed", "7");
    await fill("Maximum tokens", "512");
    await fill("Thinking budget in tokens", "128");
    await fill("System prompt", "Be brief.");
    await page.getByLabel(/^Record the probability/).uncheck();
    await page.keyboard.press("Escape");
    await page.reload();
    await page.selectOption(".effort select", "high");
    await page.selectOption(".model-choice", "r1-distill-qwen-1.5b");
    await ask(page, "plain");
    await answered(page);
    const { messages, stream_options, ...sent } = server.requests[1];
    assert.deepEqual(sent, {
      model: "r1-distill-qwen-1.5b", temperature: 0.6, top_p: 0.95, top_k: 40, seed: 7, max_tokens: 512,
      max_thinking_tokens: 128, reasoning_effort: "high", stream: true,
    });
    assert.deepEqual(messages[0], { role: "system", content: "Be brief." });
  });

  test("a value out of bounds is not taken", async () => {
    await open();
    await page.click("text=Settings");
    await page.getByLabel("Temperature").fill("7");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Escape");
    await ask(page, "plain");
    await answered(page);
    assert.equal(server.requests[0].temperature, undefined);
  });

  test("the language follows the browser, can be changed and is remembered", async () => {
    await open({ locale: "zh-CN" });
    assert.match(await page.locator(".greeting h1").innerText(), /思考/);
    assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-Hans");
    await page.click("text=设置");
    await page.getByLabel("English").check();
    await page.keyboard.press("Escape");
    await page.reload();
    assert.match(await page.locator(".greeting h1").innerText(), /think/);
    assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  });

  test("dark follows the system until one is chosen", async () => {
    await open({ colorScheme: "dark" });
    const lightness = () =>
      page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]));
    assert.ok((await lightness()) < 60);
    await page.click("text=Settings");
    await page.getByLabel("light").check();
    assert.ok((await lightness()) > 200);
    await page.reload();
    assert.ok((await lightness()) > 200);
  });
});

describe("errors", () => {
  test("a missing key is asked for, kept for the tab only, and the question is asked again", async () => {
    server.options.key = "sk-right";
    page = await browser.newPage();
    page.setDefaultTimeout(15000);
    await page.goto(server.address);
    await page.waitForSelector(".banner");
    await page.click(".banner .button");
    await page.fill("dialog input", "sk-wrong");
    await page.press("dialog input", "Enter");
    await page.waitForSelector(".banner");
    await ask(page, "plain");
    await page.waitForSelector(".failure");
    assert.match(await page.locator(".failure").innerText(), /asks for a valid API key/);
    await page.click(".failure .primary");
    await page.fill("dialog input", "sk-right");
    await page.press("dialog input", "Enter");
    await page.waitForFunction(() => document.body.innerText.includes("No thinking was needed."));
    assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage }).includes("sk-")), false);
    const databases = await page.evaluate(async () => {
      const request = indexedDB.open("r1");
      const db = await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
      const all = db.transaction("conversations").objectStore("conversations").getAll();
      return new Promise((resolve) => (all.onsuccess = () => resolve(JSON.stringify(all.result))));
    });
    assert.ok(!databases.includes("sk-"));
  });

  test("a busy server says when to come again", async () => {
    await open();
    server.options.refuse = 429;
    await ask(page, "plain");
    await page.waitForSelector(".failure");
    assert.match(await page.locator(".failure").innerText(), /too much to do[\s\S]*Try again in [12] s/);
    assert.ok(await page.locator(".failure .button").isDisabled());
    server.options.refuse = null;
    await page.click(".failure .button:not(:disabled)");
    await page.waitForFunction(() => document.body.innerText.includes("No thinking was needed."));
  });

  test("a refusal is shown in the server's words", async () => {
    await open();
    server.options.refuse = 400;
    await ask(page, "plain");
    await page.waitForSelector(".failure");
    assert.match(await page.locator(".failure").innerText(), /refused[\s\S]*longer than the context/);
  });

  test("a connection that breaks is told from an answer that ended", async () => {
    await open();
    await ask(page, "cut it");
    await page.waitForSelector(".failure");
    assert.match(await page.locator(".failure").innerText(), /broke before the answer was complete/);
  });

  test("a server that is gone is noticed, and found again", async () => {
    const own = await startMockServer();
    page = await openPage(browser, own.address);
    await own.stop();
    await ask(page, "plain");
    await page.waitForSelector(".failure");
    assert.match(await page.locator(".failure").innerText(), /cannot be reached/);
    const again = await startMockServer(Number(new URL(own.address).port));
    await page.click(".failure .button");
    await page.waitForFunction(() => document.body.innerText.includes("No thinking was needed."));
    await again.stop();
  });
});

describe("safety", () => {
  test("markup in an answer and in its thinking stays text", async () => {
    await open();
    await ask(page, "attack <img src=x onerror=\"window.attacked='user'\">");
    await answered(page);
    await page.click(".thinking-toggle");
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => globalThis.attacked), undefined);
    assert.equal(await page.locator(".message script, .message iframe, .message img, .message form, .message style, .message svg:not(.icon):not(.katex svg)").count(), 0);
    const addresses = await page.locator(".message a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    assert.deepEqual(addresses.filter((href) => href !== null && !/^https?:/.test(href)), []);
    const handlers = await page.locator(".message *").evaluateAll((all) => all.flatMap((e) => e.getAttributeNames().filter((n) => n.startsWith("on"))));
    assert.deepEqual(handlers, []);
    assert.match(await lastAnswer().innerText(), /<script>window\.attacked = 'script'<\/script>/);
    for (const link of await page.locator(".message.assistant .prose a:not([href])").all()) await link.click();
    assert.equal(await page.evaluate(() => globalThis.attacked), undefined);
    assert.deepEqual(page.complaints, []);
  });

  test("the policy refuses inline scripts and styles, and HTML from strings", async () => {
    await open();
    const outcome = await page.evaluate(() => {
      const script = document.createElement("script");
      let refused = false;
      try {
        script.textContent = "window.attacked = true";
        document.body.append(script);
      } catch {
        refused = true;
      }
      let html = false;
      try {
        document.createElement("div").innerHTML = "<b>x</b>";
      } catch {
        html = true;
      }
      return { refused: refused || globalThis.attacked === undefined, html };
    });
    assert.deepEqual(outcome, { refused: true, html: true });
  });

  test("a damaged setting or a foreign address does not break the page", async () => {
    await open();
    await page.evaluate(() => localStorage.setItem("r1.settings", "{broken"));
    await page.goto(`${server.address}#/chat/ffff`);
    await page.reload();
    await page.waitForSelector(".greeting");
    assert.deepEqual(page.complaints, []);
  });
});

describe("inspect", () => {
  test("tokens carry their probability as colour and their alternatives on hover and by keyboard", async () => {
    await open();
    await ask(page, "Solve it.");
    await answered(page);
    await page.click(".inspect-button");
    const tokens = page.locator(".token");
    assert.ok((await tokens.count()) > 40);
    const colours = new Set(await tokens.evaluateAll((all) => all.map((token) => getComputedStyle(token).backgroundColor)));
    assert.ok(colours.size >= 4, `${[...colours]}`);
    await tokens.nth(5).hover();
    assert.ok((await page.locator(".alternatives tbody tr").count()) >= 5);
    assert.match(await page.locator(".alternatives-head").innerText(), /%[\s\S]*entropy ≥ [\d.]+ bits/);
    await page.mouse.move(5, 5);
    await page.locator(".thinking-toggle").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    const active = await page.locator(".tokens").first().getAttribute("aria-activedescendant");
    assert.match(active, /-2$/);
    assert.equal(await page.locator(`[id="${active}"]`).getAttribute("aria-selected"), "true");
    await page.selectOption(".inspect-legend select", "entropy");
    assert.equal(await page.locator(".token.entropy").count(), await tokens.count());
    assert.deepEqual(await violations(), []);
  });

  test("a tap shows the alternatives on a phone", async () => {
    await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await ask(page, "Solve it.");
    await answered(page);
    await page.click(".inspect-button");
    await page.locator(".token").nth(8).tap();
    await page.waitForSelector("[data-index='8'][aria-selected=true]");
    await page.waitForTimeout(300);
    const box = await page.locator(".alternatives").boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box));
  });

  test("without recorded probabilities it says how to get them", async () => {
    await open();
    await page.click("text=Settings");
    await page.getByLabel(/^Record the probability/).uncheck();
    await page.keyboard.press("Escape");
    await ask(page, "Solve it.");
    await answered(page);
    await page.click(".inspect-button");
    assert.match(await lastAnswer().innerText(), /No probabilities were recorded/);
  });
});

describe("dashboard", () => {
  test("shows load, rates, cache and charges, and draws them", async () => {
    server.options.busy = true;
    await open();
    await page.click("text=Dashboard");
    await page.waitForFunction(() => Number(document.querySelectorAll(".tile dd")[2]?.innerText.replace(/\D/g, "")) > 0);
    const tiles = await page.locator(".tile").allInnerTexts();
    assert.ok(tiles.some((text) => /Cache hits\s+6\d%/.test(text)), tiles.join(" | "));
    assert.ok(tiles.some((text) => /Charged \(USD\)\s+0\.0/.test(text)), tiles.join(" | "));
    assert.equal(await page.locator(".chart canvas").count(), 4);
    assert.match(await page.locator(".chart-canvas").first().getAttribute("aria-label"), /generated: [\d,.]+/);
    assert.deepEqual(await violations(), []);
    assert.deepEqual(page.complaints, []);
  });
});

describe("access", () => {
  for (const [name, options] of [
    ["light, desktop", {}],
    ["dark, desktop, Chinese", { colorScheme: "dark", locale: "zh-CN" }],
    ["light, phone", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }],
    ["dark, phone", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: "dark" }],
  ]) {
    test(`axe finds nothing: ${name}`, async () => {
      await open(options);
      assert.deepEqual(await violations(), []);
      await ask(page, "a slow question"); // slow enough to be looked at while it streams
      await page.waitForSelector(".thinking.streaming");
      assert.deepEqual(await violations(), []);
      await page.click(".send.stop");
      await answered(page);
      await page.hover(".message.user");
      await page.click(".message.user .edit");
      await page.fill(".edit-form textarea", "roots");
      await page.click(".edit-form [type=submit]");
      await answered(page);
      await page.click(".thinking-toggle");
      await page.click(".inspect-button");
      assert.deepEqual(await violations(), []);
      await page.click(".inspect-button");
      assert.deepEqual(await violations(), []);
      if (options.isMobile) await page.click(".open-sidebar");
      await page.click(".sidebar-foot button >> nth=0");
      assert.deepEqual(await violations(), []);
      assert.deepEqual(page.complaints, []);
    });
  }

  test("nothing is wider than a phone of 360 pixels", async () => {
    await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await ask(page, "roots");
    await answered(page);
    const width = () => page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(await width(), 360);
    await page.click(".inspect-button");
    assert.equal(await width(), 360);
    await page.goto(`${server.address}#/dashboard`);
    await page.waitForSelector(".chart canvas");
    assert.equal(await width(), 360);
  });

  test("everything is reached by keyboard, in the order of the page", async () => {
    await open();
    await ask(page, "plain");
    await answered(page);
    await page.locator(".skip").focus();
    const order = ["Skip to the message field"];
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press("Tab");
      order.push(await page.evaluate(() => {
        const { activeElement: e } = document;
        return e.getAttribute("aria-label") ?? e.innerText?.trim().split("\n")[0] ?? "";
      }));
    }
    const expected = [
      "Skip to the message field", "New chat", "Search conversations", "plain", "Dashboard", "Settings", "Keyboard shortcuts",
      "Model", "Title of the conversation", "More about this conversation", "Copy", "Edit", "Copy", "Regenerate", "Inspect",
      "Message", "default",
    ];
    const places = expected.map((name, i) => order.indexOf(name, i === 0 ? 0 : i));
    assert.ok(places.every((place) => place >= 0), `${order}`);
    assert.deepEqual([...places].sort((a, b) => a - b), places);
  });

  test("screen readers hear the phases, not the tokens", async () => {
    await open();
    await page.evaluate(() => {
      globalThis.heard = [];
      const status = document.querySelector("[role=status]");
      new MutationObserver(() => status.textContent && globalThis.heard.push(status.textContent)).observe(status, {
        childList: true, characterData: true, subtree: true,
      });
    });
    await ask(page, "Solve it.");
    await answered(page);
    await page.waitForFunction(() => globalThis.heard.length >= 3);
    assert.deepEqual(await page.evaluate(() => globalThis.heard), [
      "The model is thinking.", "The answer begins.", "The answer is complete.",
    ]);
    const live = await page.locator("[aria-live], [role=log], [role=alert]").count();
    assert.equal(live, 0);
  });

  test("shortcuts: help, search, new chat, message field", async () => {
    await open();
    await ask(page, "plain");
    await answered(page);
    await page.keyboard.press("Control+k");
    await page.waitForFunction(() => document.activeElement.id === "search");
    await page.locator(".message.assistant .regenerate").focus();
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "composer");
    await page.keyboard.press("Control+Shift+O");
    await page.waitForSelector(".greeting");
    await page.locator(".new-chat").focus();
    await page.keyboard.press("?");
    await page.waitForSelector("dialog .shortcuts");
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
  });

  test("the sidebar of a phone opens, closes, and gives the focus back", async () => {
    await open({ viewport: { width: 360, height: 740 } });
    assert.equal(await page.locator(".sidebar").isVisible(), false);
    await page.click(".open-sidebar");
    await page.waitForSelector(".sidebar.open");
    await page.waitForFunction(() => document.querySelector(".sidebar").contains(document.activeElement));
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.activeElement.classList.contains("open-sidebar"));
    assert.equal(await page.locator(".sidebar").isVisible(), false);
  });
});
