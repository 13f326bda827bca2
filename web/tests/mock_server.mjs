#!/usr/bin/env node
// A test double of r1 serve: the built page and the parts of its API that the page uses, with
// scripted answers. `npm run mock` serves it by hand, on port 8931.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { logprobsOf, scriptedAnswer, tokenize } from "./scripted_answers.mjs";

const web = join(fileURLToPath(import.meta.url), "../..");
const policy = readFileSync(join(web, "content_security_policy.txt"), "utf8").trim();
const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".woff2": "font/woff2",
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function sendJson(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

function sendPage(response, path) {
  const file = join(web, "dist", normalize(path === "/" ? "/index.html" : path));
  try {
    const bytes = readFileSync(file);
    response.writeHead(200, { "content-type": types[extname(file)], "content-security-policy": policy });
    response.end(bytes);
  } catch {
    sendJson(response, 404, { error: { message: `there is no ${path}` } });
  }
}

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

/** Counters as r1 serve exposes them; `load` makes them look like a busy server. */
class Counters {
  prompt = 0;
  generated = 0;
  reasoning = 0;
  finished = 0;
  running = 0;

  exposition(busy) {
    const turn = busy ? Math.sin(Date.now() / 9000) : 0;
    const labels = '{model_name="r1-zero-nano",engine="0"}';
    if (busy) {
      this.prompt += Math.round(900 + 500 * turn);
      this.generated += Math.round(2100 + 700 * Math.cos(Date.now() / 7000));
      this.reasoning += 1400;
      this.finished += 3;
    }
    const lines = {
      "vllm:num_requests_running": this.running + (busy ? Math.round(9 + 6 * turn) : 0),
      "vllm:num_requests_waiting": busy ? Math.max(0, Math.round(4 * turn)) : 0,
      "vllm:kv_cache_usage_perc": busy ? 0.45 + 0.2 * turn : 0.02,
      "vllm:prompt_tokens_total": this.prompt,
      "vllm:generation_tokens_total": this.generated,
      "vllm:request_success_total": this.finished,
      "vllm:prefix_cache_queries_total": this.prompt,
      "vllm:prefix_cache_hits_total": Math.round(this.prompt * (0.62 + 0.02 * turn)),
      "r1:thinking_tokens_total": this.reasoning,
    };
    const histogram = (name, bounds, scale) =>
      [...bounds, "+Inf"].map((bound, i) => {
        const counted = Math.min(1, (i + 1) / bounds.length + 0.05 * turn) * this.finished * scale;
        return `vllm:${name}_bucket{le="${bound}",model_name="r1-zero-nano"} ${bound === "+Inf" ? this.finished * scale : Math.floor(counted)}`;
      });
    return [
      ...Object.entries(lines).map(([name, value]) => `${name}${labels} ${value}`),
      ...histogram("time_to_first_token_seconds", [0.01, 0.02, 0.04, 0.08], 10),
      ...histogram("inter_token_latency_seconds", [0.002, 0.004, 0.008], 100),
      `r1:charged_total{model_name="r1-zero-nano",currency="USD"} ${(this.generated * 2.19e-6).toFixed(8)}`,
      "",
    ].join("\n");
  }
}

/**
 * Starts the server on a free port of the loopback (or the given one). `options` may be changed
 * while it runs: key (asked for when set), busy (for the dashboard), refuse (a status for chats).
 */
export async function startMockServer(port = 0, options = {}) {
  const counters = new Counters();
  const requests = []; // bodies of chats, for tests to look at

  async function chat(request, response) {
    const body = await readJson(request);
    requests.push(body);
    if (options.refuse === 429) {
      return sendJson(response, 429, { error: { message: "too many requests", type: "rate_limit_error" } }, { "retry-after": "2" });
    }
    if (options.refuse) return sendJson(response, options.refuse, { error: { message: "the prompt is longer than the context" } });
    const text = body.messages.at(-1).content;
    const { thinking, answer, finish, pause: gap } = scriptedAnswer(text);
    response.writeHead(200, { "content-type": "text/event-stream" });
    let open = true;
    response.on("close", () => (open = false));
    const base = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: body.model };
    const send = (delta, reason = null, logprobs = null) => {
      const chunk = { ...base, choices: [{ index: 0, delta, logprobs, finish_reason: reason }], usage: null };
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };
    counters.running++;
    send({ role: "assistant", content: "" });
    response.write(": keep-alive\n\n");
    const parts = [
      ...(body.reasoning_effort === "none" ? [] : tokenize(thinking).map((token) => ["reasoning_content", token])),
      ...tokenize(answer).map((token) => ["content", token]),
    ];
    const limit = body.max_tokens ?? Infinity;
    let made = 0;
    let reasoning = 0;
    for (const [field, token] of parts) {
      if (!open || made >= limit) break;
      const entry = body.logprobs ? [logprobsOf(token, made, body.top_logprobs ?? 0)] : null;
      const key = field === "content" ? "content" : "reasoning_content";
      send({ [field]: token }, null, entry && { content: null, [key]: entry });
      made++;
      reasoning += field === "reasoning_content" ? 1 : 0;
      if (text.includes("cut") && made === 10) {
        counters.running--;
        return response.destroy();
      }
      await pause(gap);
    }
    counters.running--;
    counters.prompt += 30;
    counters.generated += made;
    counters.reasoning += reasoning;
    counters.finished++;
    if (!open) return;
    send({}, made >= limit ? "length" : finish);
    const usage = {
      prompt_tokens: 30,
      completion_tokens: made,
      total_tokens: 30 + made,
      prompt_tokens_details: { cached_tokens: body.messages.length > 2 ? 16 : 0 },
      completion_tokens_details: { reasoning_tokens: reasoning },
    };
    response.write(`data: ${JSON.stringify({ ...base, choices: [], usage })}\n\n`);
    response.end("data: [DONE]\n\n");
  }

  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    const api = path.startsWith("/v1/") || path === "/metrics";
    if (api && options.key && request.headers.authorization !== `Bearer ${options.key}`) {
      return sendJson(response, 401, { error: { message: "a valid API key is needed", code: "invalid_api_key" } });
    }
    if (path === "/v1/models") {
      const data = ["r1-zero-nano", "r1-distill-qwen-1.5b"].map((id) => ({ id, object: "model" }));
      return sendJson(response, 200, { object: "list", data });
    }
    if (path === "/v1/chat/completions") return void chat(request, response);
    if (path === "/metrics") {
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" });
      return response.end(counters.exposition(options.busy));
    }
    return sendPage(response, path);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    options,
    requests,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { address } = await startMockServer(8931, { busy: process.argv.includes("--busy") });
  console.log(`The page with scripted answers: ${address}`);
}
