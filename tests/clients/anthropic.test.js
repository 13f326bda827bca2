// The official `@anthropic-ai/sdk` package.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { MODEL, QUESTION, startServer } from "./server.js";

let server, client;
before(async () => {
  server = await startServer();
  client = new Anthropic({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
});
after(async () => assert.equal(await server.stop(), 0));

const request = {
  model: MODEL,
  max_tokens: 200,
  temperature: 0,
  messages: [{ role: "user", content: QUESTION }],
};
const thinking = { type: "enabled", budget_tokens: 150 };

test("a message with a thinking block", async () => {
  const message = await client.messages.create({ ...request, thinking });
  assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
  assert.match(message.content[0].thinking, /24/);
  assert.equal(message.content[1].text, "8");
  assert.equal(message.stop_reason, "end_turn");
  assert.ok(message.usage.input_tokens > 10 && message.usage.output_tokens > 10);
});

test("a stream", async () => {
  const seen = [];
  const stream = client.messages.stream({ ...request, thinking });
  stream.on("streamEvent", (event) => seen.push(event.type));
  const message = await stream.finalMessage();
  assert.equal(seen[0], "message_start");
  assert.equal(seen.at(-1), "message_stop");
  assert.equal(message.content[0].type, "thinking");
  assert.equal(message.content[1].text, "8");
  assert.notEqual(message.content[0].signature, "");
});

test("without thinking, and stop sequences", async () => {
  const message = await client.messages.create(request);
  assert.deepEqual(message.content.map((block) => block.type), ["text"]);
  const stopped = await client.messages.create({ ...request, thinking, stop_sequences: ["8"] });
  assert.equal(stopped.stop_reason, "stop_sequence");
  assert.equal(stopped.stop_sequence, "8");
});

test("counting tokens", async () => {
  const counted = await client.messages.countTokens({ model: MODEL, messages: request.messages });
  assert.ok(counted.input_tokens > 10);
});

test("errors", async () => {
  await assert.rejects(client.messages.create({ ...request, model: "no-such" }), Anthropic.NotFoundError);
  await assert.rejects(client.messages.create({ ...request, temperature: 2 }), Anthropic.BadRequestError);
});
