// The parts of the page that need no browser.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createServer } from "vite";

let vite;
before(async () => {
  vite = await createServer({
    configFile: false,
    appType: "custom",
    optimizeDeps: { noDiscovery: true },
    server: { middlewareMode: true, ws: false, watch: null },
  });
});
after(() => vite.close());
const load = (path) => vite.ssrLoadModule(`/src/${path}.ts`);

describe("server-sent events", () => {
  const stream = (pieces) =>
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    });
  const read = async (pieces) => {
    const { serverSentEvents } = await load("api/server_sent_events");
    const found = [];
    for await (const data of serverSentEvents(stream(pieces))) found.push(data);
    return found;
  };

  test("do not depend on where the bytes are cut, nor on the kind of line ends", async () => {
    for (const end of ["\n", "\r", "\r\n"]) {
      const lines = [": keep-alive", "", "data: 思考", "", "event: x", "data:one", "data: two", "", "data: [DONE]", "", ""];
      const bytes = new TextEncoder().encode(lines.join(end));
      for (let cut = 0; cut <= bytes.length; cut++) {
        assert.deepEqual(await read([bytes.slice(0, cut), bytes.slice(cut)]), ["思考", "one\ntwo", "[DONE]"], `${JSON.stringify(end)} ${cut}`);
      }
      assert.deepEqual(await read([...bytes].map((byte) => Uint8Array.of(byte))), ["思考", "one\ntwo", "[DONE]"]);
    }
  });

  test("an event without its blank line was cut and is not given out", async () => {
    assert.deepEqual(await read([new TextEncoder().encode("data: a\n\ndata: b\n")]), ["a"]);
  });
});

describe("errors", () => {
  test("Retry-After holds seconds or a date", async () => {
    const { retryAfterSeconds } = await load("api/api_error");
    const now = Date.parse("2026-11-28T10:00:00Z");
    assert.equal(retryAfterSeconds("7", now), 7);
    assert.equal(retryAfterSeconds("Sat, 28 Nov 2026 10:00:30 GMT", now), 30);
    assert.equal(retryAfterSeconds("Sat, 28 Nov 2026 09:00:00 GMT", now), 0);
    assert.equal(retryAfterSeconds("soon", now), null);
    assert.equal(retryAfterSeconds(null, now), null);
  });

  test("are told in the server's words, whatever it sent", async () => {
    const { errorOfResponse } = await load("api/api_error");
    const of = async (status, body, headers) => {
      const { kind, message, retryAfter } = await errorOfResponse(new Response(body, { status, headers }));
      return [kind, message, retryAfter];
    };
    assert.deepEqual(await of(400, '{"error":{"message":"no"}}'), ["refused", "no", null]);
    assert.deepEqual(await of(404, '{"error":"no model"}'), ["refused", "no model", null]);
    assert.deepEqual(await of(401, ""), ["unauthorized", "401", null]);
    assert.deepEqual(await of(503, "<html>", { "retry-after": "3" }), ["busy", "503", 3]);
  });
});

describe("tokens", () => {
  test("a piece of a character is told by its bytes", async () => {
    const { readTokenRecords } = await load("api/token_record");
    const [whole, piece, plain] = readTokenRecords([
      { token: "思", bytes: [230, 128, 157], logprob: -1, top_logprobs: [{ token: "x", bytes: null, logprob: -2 }] },
      { token: "\ufffd", bytes: [230, 128], logprob: -1 },
      { token: "a", logprob: -1 },
      { token: "broken" },
      null,
    ]);
    assert.deepEqual([whole.text, piece.text, plain.text], ["思", "⟨e6 80⟩", "a"]);
    assert.deepEqual(whole.top, [["x", -2]]);
    assert.deepEqual(readTokenRecords("nothing"), []);
  });

  test("entropy is exact for a whole distribution and a lower bound else", async () => {
    const { entropyBits } = await load("api/token_record");
    const half = Math.log(0.5);
    assert.ok(Math.abs(entropyBits({ text: "a", logprob: half, top: [["a", half], ["b", half]] }) - 1) < 1e-12);
    assert.equal(entropyBits({ text: "a", logprob: 0, top: [] }), 0);
    const quarter = Math.log(0.25); // three further of a quarter each count as one of three quarters
    assert.ok(Math.abs(entropyBits({ text: "a", logprob: quarter, top: [] }) - 0.8112781) < 1e-6);
  });
});

describe("metrics", () => {
  const HISTOGRAM = (a, b, c) => [
    "# TYPE vllm:t histogram",
    `vllm:t_bucket{model_name="a",le="1"} ${a}`,
    `vllm:t_bucket{model_name="a",le="2.0"} ${b}`,
    `vllm:t_bucket{model_name="a",le="+Inf"} ${c}`,
  ].join("\n");

  test("the exposition format is read", async () => {
    const { parsePrometheus, total } = await load("api/prometheus");
    const samples = parsePrometheus('# HELP x y\nx{a="1",b="q\\"\\n"} 2 1700000000\nx 3e1\n\nbroken{\ny{le="+Inf"} +Inf\n');
    assert.deepEqual(samples, [
      { name: "x", labels: { a: "1", b: 'q"\n' }, value: 2 },
      { name: "x", labels: {}, value: 30 },
      { name: "y", labels: { le: "+Inf" }, value: Infinity },
    ]);
    assert.equal(total(samples, "x"), 32);
    assert.equal(total(samples, "z"), null);
  });

  test("quantiles are of what was counted in between", async () => {
    const { parsePrometheus, quantileBetween } = await load("api/prometheus");
    const before = parsePrometheus(HISTOGRAM(10, 10, 10));
    const after = parsePrometheus(HISTOGRAM(14, 20, 20));
    assert.equal(quantileBetween(before, after, "vllm:t", 0.4), 1);
    assert.equal(quantileBetween(before, after, "vllm:t", 0.7), 1.5);
    assert.equal(quantileBetween(after, after, "vllm:t", 0.5), null);
    assert.equal(quantileBetween([], parsePrometheus(HISTOGRAM(0, 0, 4)), "vllm:t", 0.5), 2);
  });

  test("rates need two scrapes, and a server that was started anew counts from zero", async () => {
    const { MetricsHistory } = await load("state/metrics_history");
    const history = new MetricsHistory();
    for (const [time, count] of [[0, 100], [2, 160], [4, 10], [6, 30]]) {
      history.add(`vllm:generation_tokens_total{model_name="a"} ${count / 2}\nvllm:generation_tokens_total{model_name="b"} ${count / 2}`, time);
    }
    assert.deepEqual(history.moments.map(({ generationRate }) => generationRate), [null, 30, null, 10]);
    assert.equal(history.moments[0].running, null);
  });
});

describe("conversations", () => {
  test("an edited question and a second answer are versions", async () => {
    const c = await load("state/conversation");
    const question = c.newMessage("user", null, "  first line\nsecond");
    const answer = c.newMessage("assistant", question.id, "a");
    const second = c.newMessage("assistant", question.id, "b");
    const edited = c.newMessage("user", null, "other");
    let conversation = c.newConversation(0);
    for (const message of [question, answer, second, edited]) conversation = c.withMessage(conversation, message, 1);
    const shown = () => c.shownMessages(conversation).map(({ text }) => text);
    assert.equal(conversation.title, "first line");
    assert.deepEqual(shown(), ["other"]);
    conversation = c.choose(conversation, question);
    assert.deepEqual(shown(), ["  first line\nsecond", "b"]);
    conversation = c.choose(conversation, answer);
    assert.deepEqual(shown(), ["  first line\nsecond", "a"]);
    assert.deepEqual(c.siblings(conversation, answer).map(({ text }) => text), ["a", "b"]);
    assert.deepEqual(c.pathTo(conversation, second.id).map(({ text }) => text), ["  first line\nsecond", "b"]);
  });

  test("an exported file comes back as it was, without the tokens", async () => {
    const c = await load("state/conversation");
    const { fromJson, toJson } = await load("state/exchange");
    const question = c.newMessage("user", null, "q");
    const answer = { ...c.newMessage("assistant", question.id, "a"), thinking: "t", thinkingTime: 5, finish: "stop" };
    let conversation = c.newConversation(3);
    for (const message of [question, answer]) conversation = c.withMessage(conversation, message, 4);
    assert.deepEqual(fromJson(toJson([conversation])), [conversation]);
  });

  test("a file of another kind is refused, and a circle ends", async () => {
    const c = await load("state/conversation");
    const { fromJson } = await load("state/exchange");
    const file = (conversations) => JSON.stringify({ format: "r1-conversations", conversations });
    for (const text of ["", "{}", "[]", "null", file(5), file([{}]), file([null]), file([{ id: "a" }]), file([{ id: "a", messages: null }]), file([{ id: "../x", messages: {} }]), file([{ id: "a", messages: { m: { id: 1 } } }]), file([{ id: "a", messages: { m: null } }])]) {
      assert.equal(fromJson(text), null, text);
    }
    const message = (id, parent) => ({ id, parent, role: "user", text: id });
    const [circle] = fromJson(file([{ id: "a", messages: { a: message("a", "b"), b: message("b", "a") }, chosen: { root: "a", a: "b", b: "a" } }]));
    assert.deepEqual(c.shownMessages(circle).map(({ id }) => id), ["a", "b"]);
    assert.deepEqual(c.pathTo(circle, "a").map(({ id }) => id), ["b", "a"]);
  });
});
