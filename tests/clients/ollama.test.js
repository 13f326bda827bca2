// The official `ollama` package.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ollama } from "ollama";
import { MODEL, QUESTION, startServer } from "./server.js";

let server, client;
before(async () => {
  server = await startServer();
  client = new Ollama({ host: server.url });
});
after(async () => assert.equal(await server.stop(), 0));

const messages = [{ role: "user", content: QUESTION }];
const options = { temperature: 0 };

test("chat with thinking and metrics", async () => {
  const reply = await client.chat({ model: MODEL, messages, think: true, options });
  assert.equal(reply.message.content, "8");
  assert.match(reply.message.thinking, /24/);
  assert.equal(reply.done_reason, "stop");
  assert.ok(reply.eval_count > 10 && reply.prompt_eval_count > 10);
  assert.ok(reply.total_duration >= reply.eval_duration);
});

test("chat as a stream: thinking first", async () => {
  let thinking = "", content = "", last;
  for await (const part of await client.chat({ model: MODEL, messages, stream: true, options })) {
    if (part.message.thinking) assert.equal(content, "");
    thinking += part.message.thinking ?? "";
    content += part.message.content;
    last = part;
  }
  assert.equal(content, "8");
  assert.match(thinking, /24/);
  assert.equal(last.done, true);
});

test("without thinking", async () => {
  const reply = await client.chat({ model: MODEL, messages, think: false, options });
  assert.equal(reply.message.thinking, undefined);
  assert.ok(reply.message.content.length > 0);
});

test("generate, and raw", async () => {
  const reply = await client.generate({ model: MODEL, prompt: QUESTION, options });
  assert.equal(reply.response, "8");
  const raw = await client.generate({
    model: MODEL,
    prompt: "3+4=",
    raw: true,
    options: { ...options, num_predict: 2 },
  });
  assert.equal(raw.eval_count, 2);
  assert.equal(raw.done_reason, "length");
});

test("tags, show, ps, version; loading and unloading", async () => {
  const { models } = await client.list();
  assert.equal(models[0].name, `${MODEL}:latest`);
  assert.match(models[0].digest, /^[0-9a-f]{64}$/);
  const shown = await client.show({ model: MODEL });
  assert.deepEqual(shown.capabilities, ["completion", "thinking"]);
  await client.generate({ model: MODEL, prompt: "", keep_alive: "10m" });
  assert.equal((await client.ps()).models.length, 1);
  await client.generate({ model: MODEL, prompt: "", keep_alive: 0 });
  for (let i = 0; i < 100 && (await client.ps()).models.length > 0; ++i) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal((await client.ps()).models.length, 0);
});

test("errors", async () => {
  await assert.rejects(client.chat({ model: "no-such", messages }), { status_code: 404 });
});
