// The official `openai` package.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { MODEL, QUESTION, startServer } from "./server.js";

let server, client;
before(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(async () => assert.equal(await server.stop(), 0));

const messages = [{ role: "user", content: QUESTION }];

test("chat: thinking beside the answer, usage with details", async () => {
  const reply = await client.chat.completions.create({ model: MODEL, messages, temperature: 0 });
  assert.match(reply.id, /^chatcmpl-/);
  assert.equal(reply.object, "chat.completion");
  const [choice] = reply.choices;
  assert.equal(choice.finish_reason, "stop");
  assert.equal(choice.message.role, "assistant");
  assert.equal(choice.message.content, "8");
  assert.match(choice.message.reasoning_content, /24/);
  const { usage } = reply;
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  assert.ok(usage.completion_tokens_details.reasoning_tokens > 5);
  assert.ok(usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens);
  assert.equal(
    usage.prompt_cache_hit_tokens + usage.prompt_cache_miss_tokens,
    usage.prompt_tokens,
  );
});

test("chat as a stream says what it says as a whole", async () => {
  const request = { model: MODEL, messages, seed: 5, temperature: 0.8, n: 2 };
  const whole = await client.chat.completions.create(request);
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  const texts = ["", ""];
  const thoughts = ["", ""];
  const ends = [];
  let usage = null;
  let id = null;
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    assert.equal(chunk.id, (id ??= chunk.id));
    assert.equal(usage, null, "usage comes last");
    usage = chunk.usage;
    for (const choice of chunk.choices) {
      texts[choice.index] += choice.delta.content ?? "";
      thoughts[choice.index] += choice.delta.reasoning_content ?? "";
      if (choice.finish_reason) ends[choice.index] = choice.finish_reason;
    }
  }
  for (const choice of whole.choices) {
    assert.equal(texts[choice.index], choice.message.content ?? "");
    assert.equal(thoughts[choice.index], choice.message.reasoning_content);
    assert.equal(ends[choice.index], choice.finish_reason);
  }
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("the stream helper of the package", async () => {
  const runner = client.chat.completions.stream({ model: MODEL, messages, temperature: 0 });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, "8");
});

test("log-probabilities of answer and thinking", async () => {
  const reply = await client.chat.completions.create({
    model: MODEL,
    messages,
    temperature: 0,
    logprobs: true,
    top_logprobs: 3,
  });
  const { content, reasoning_content } = reply.choices[0].logprobs;
  assert.equal(content.map((token) => token.token).join("").trim(), "8");
  assert.match(reasoning_content.map((token) => token.token).join(""), /24/);
  for (const token of [...content, ...reasoning_content]) {
    assert.equal(token.top_logprobs.length, 3);
    assert.equal(token.top_logprobs[0].token, token.token, "greedy takes the likeliest");
    assert.ok(Math.abs(token.top_logprobs[0].logprob - token.logprob) < 1e-6);
    assert.ok(token.logprob <= 0 && token.entropy >= 0);
    assert.equal(Buffer.from(token.bytes).toString(), token.token);
  }
});

test("same request, same seed, alone and under load: the same answer", async () => {
  const request = { model: MODEL, messages, seed: 11, temperature: 1, logprobs: true };
  const strip = ({ choices, usage }) => ({ choices, completion: usage.completion_tokens });
  const alone = strip(await client.chat.completions.create(request));
  const others = Array.from({ length: 24 }, (_, i) =>
    client.chat.completions.create({
      model: MODEL,
      messages: [{ role: "user", content: `What is ${i} + ${3 * i}?` }],
      seed: i,
    }),
  );
  const crowded = await Promise.all([1, 2, 3].map(() => client.chat.completions.create(request)));
  await Promise.all(others);
  for (const reply of crowded) assert.deepEqual(strip(reply), alone);
});

test("limits: stop strings, max_completion_tokens, a budget for thinking, none", async () => {
  const ask = async (extra) =>
    (await client.chat.completions.create({ model: MODEL, messages, temperature: 0, ...extra }))
      .choices[0];
  const cut = await ask({ max_completion_tokens: 4 });
  assert.equal(cut.finish_reason, "length");
  assert.equal(cut.message.content, null);
  const stopped = await ask({ stop: ["8"] });
  assert.equal(stopped.finish_reason, "stop");
  assert.equal(stopped.message.content ?? "", "");
  const quick = await ask({ reasoning_effort: "none" });
  assert.equal(quick.message.reasoning_content, "");
  assert.notEqual(quick.message.content, "");
  const { choices, usage } = await client.chat.completions.create({
    model: MODEL,
    messages,
    temperature: 0,
    max_thinking_tokens: 6,
  });
  assert.ok(usage.completion_tokens_details.reasoning_tokens <= 9);
  assert.equal(choices[0].finish_reason, "stop");
  assert.ok(choices[0].message.content.length > 0, "it still answers");
});

test("several samples and the answer of the majority", async () => {
  const reply = await client.chat.completions.create({
    model: MODEL,
    messages,
    temperature: 1,
    seed: 3,
    best_of: 8,
  });
  assert.equal(reply.choices.length, 1);
  assert.equal(reply.choices[0].message.content, "8");
  assert.equal(reply.choices[0].agreement.samples, 8);
  assert.ok(reply.choices[0].agreement.agreeing > 4);
});

test("completions: echo and log-probabilities score a prompt", async () => {
  const reply = await client.completions.create({
    model: MODEL,
    prompt: ["3+4=7", "3+4=9"],
    echo: true,
    logprobs: 1,
    max_tokens: 0,
  });
  const sums = reply.choices.map((choice) => {
    assert.equal(choice.logprobs.token_logprobs[0], null);
    assert.equal(choice.logprobs.tokens.join(""), choice.text);
    return choice.logprobs.token_logprobs.slice(1).reduce((a, b) => a + b, 0);
  });
  assert.equal(reply.choices[0].text, "3+4=7");
  assert.ok(sums[0] > sums[1], "the right sum is likelier");
});

test("completions go on with a text, as a stream too", async () => {
  const request = { model: MODEL, prompt: "3+4=", max_tokens: 3, temperature: 0 };
  const whole = await client.completions.create(request);
  let text = "";
  for await (const chunk of await client.completions.create({ ...request, stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, whole.choices[0].text);
  assert.equal(whole.object, "text_completion");
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, [MODEL]);
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
});

test("errors are the package's classes and name the field", async () => {
  await assert.rejects(
    client.chat.completions.create({ model: "no-such", messages }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
  );
  await assert.rejects(
    client.chat.completions.create({ model: MODEL, messages, temperature: 9 }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature",
  );
  await assert.rejects(
    client.chat.completions.create({
      model: MODEL,
      messages: [{ role: "user", content: "1 ".repeat(2000) }],
    }),
    (error) => error.code === "context_length_exceeded",
  );
});

test("a stream that is given up does not disturb the next", async () => {
  const controller = new AbortController();
  const stream = await client.chat.completions.create(
    { model: MODEL, messages, stream: true, min_thinking_tokens: 400 },
    { signal: controller.signal },
  );
  await assert.rejects(async () => {
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 3) controller.abort();
    throw new Error("aborted"); // some versions of the package end quietly
  });
  const reply = await client.chat.completions.create({ model: MODEL, messages, temperature: 0 });
  assert.equal(reply.choices[0].message.content, "8");
});

test("responses: a reasoning item, then the message", async () => {
  const reply = await client.responses.create({ model: MODEL, input: QUESTION, temperature: 0 });
  assert.deepEqual(reply.output.map((item) => item.type), ["reasoning", "message"]);
  assert.equal(reply.output_text, "8");
  assert.equal(reply.status, "completed");
  assert.ok(reply.usage.output_tokens_details.reasoning_tokens > 5);
  const seen = [];
  let final = null;
  for await (const event of await client.responses.create({
    model: MODEL,
    input: [{ role: "user", content: QUESTION }],
    temperature: 0,
    stream: true,
  })) {
    assert.equal(event.sequence_number, seen.length);
    seen.push(event.type);
    if (event.type === "response.completed") final = event.response;
  }
  assert.equal(seen[0], "response.created");
  assert.ok(seen.includes("response.reasoning_text.delta"));
  assert.deepEqual(
    final.output.map((item) => item.content[0].text),
    reply.output.map((item) => item.content[0].text),
  );
});
