import { ApiError, errorText } from "./api_error";
import { request } from "./client";
import { serverSentEvents } from "./server_sent_events";
import { readTokenRecords, type TokenRecord } from "./token_record";

export interface ChatTurn {
  role: "system" | "user" | "assistant";
  content: string;
}

/** The body of POST /v1/chat/completions; what is undefined is left to the model's own settings. */
export interface ChatRequest {
  model: string;
  messages: ChatTurn[];
  temperature?: number;
  top_p?: number;
  top_k?: number;
  max_tokens?: number;
  seed?: number;
  reasoning_effort?: string;
  max_thinking_tokens?: number;
  logprobs?: boolean;
  top_logprobs?: number;
}

export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  reasoningTokens: number;
}

export type ChatEvent =
  | { kind: "thinking" | "answer"; text: string; tokens: TokenRecord[] }
  | { kind: "finish"; reason: string }
  | { kind: "usage"; usage: Usage };

interface Chunk {
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null; reasoning?: string | null };
    logprobs?: { content?: unknown; reasoning_content?: unknown } | null;
    finish_reason?: string | null;
  }[];
  usage?: {
    prompt_tokens?: number;
    completion_tokens?: number;
    prompt_tokens_details?: { cached_tokens?: number } | null;
    completion_tokens_details?: { reasoning_tokens?: number } | null;
  } | null;
}

function* eventsOfChunk(chunk: Chunk): Generator<ChatEvent> {
  for (const choice of chunk.choices ?? []) {
    const thinking = choice.delta?.reasoning_content ?? choice.delta?.reasoning ?? "";
    const answer = choice.delta?.content ?? "";
    const ofThinking = readTokenRecords(choice.logprobs?.reasoning_content);
    const ofContent = readTokenRecords(choice.logprobs?.content);
    // Servers that know one list alone put the tokens of a thinking delta into it.
    const shared = thinking !== "" && answer === "" && ofThinking.length === 0;
    const thinkingTokens = shared ? ofContent : ofThinking;
    const answerTokens = shared ? [] : ofContent;
    if (thinking !== "" || thinkingTokens.length > 0) {
      yield { kind: "thinking", text: thinking, tokens: thinkingTokens };
    }
    if (answer !== "" || answerTokens.length > 0) yield { kind: "answer", text: answer, tokens: answerTokens };
    if (choice.finish_reason) yield { kind: "finish", reason: choice.finish_reason };
  }
  if (chunk.usage) {
    yield {
      kind: "usage",
      usage: {
        promptTokens: chunk.usage.prompt_tokens ?? 0,
        cachedTokens: chunk.usage.prompt_tokens_details?.cached_tokens ?? 0,
        completionTokens: chunk.usage.completion_tokens ?? 0,
        reasoningTokens: chunk.usage.completion_tokens_details?.reasoning_tokens ?? 0,
      },
    };
  }
}

/** Streams one answer. Throws ApiError, also when the stream ends before the answer does. */
export async function* streamChat(body: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
  const response = await request("v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  if (!response.body) throw new ApiError("cut", "the answer has no body");
  let finished = false;
  try {
    for await (const data of serverSentEvents(response.body)) {
      if (data.startsWith("[DONE]")) return;
      const chunk = JSON.parse(data) as Chunk;
      const failure = errorText(chunk);
      if (failure !== null) throw new ApiError("refused", failure);
      for (const event of eventsOfChunk(chunk)) {
        finished ||= event.kind === "finish";
        yield event;
      }
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError("cut", String(error));
  }
  if (!finished) throw new ApiError("cut", "the stream ended early");
}
