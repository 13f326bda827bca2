import { ApiError } from "../api/api_error";
import { streamChat, type ChatEvent, type ChatRequest } from "../api/chat";
import {
  choose,
  newConversation,
  newMessage,
  pathTo,
  shownMessages,
  withChange,
  withMessage,
  type Conversation,
  type Message,
} from "./conversation";
import {
  conversationSummaries,
  deleteAllConversations,
  deleteConversation,
  loadConversation,
  saveConversation,
  type ConversationSummary,
} from "./conversation_database";
import { settings } from "./settings";
import { createStore } from "./store";

export type Phase = "waiting" | "thinking" | "answering";

/** An answer that is being streamed. */
export interface Generation {
  conversation: string;
  message: string;
  phase: Phase;
  /** Milliseconds since the epoch at which the thinking began; 0 before. */
  thinkingSince: number;
  abort: AbortController;
}

export const summaries = createStore<ConversationSummary[]>([]);
/** The conversation on the page; null while it is loaded. */
export const current = createStore<Conversation | null>(newConversation(Date.now()));
/** By conversation: an answer goes on while another conversation is looked at. */
export const generations = createStore<ReadonlyMap<string, Generation>>(new Map());

const SAVE_EVERY = 2000; // ms, while an answer streams
const ALTERNATIVES = 5;

// Conversations that are shown or receive an answer; all others are in the database alone.
const open = new Map<string, Conversation>();

function put(conversation: Conversation): void {
  open.set(conversation.id, conversation);
  if (current.get()?.id === conversation.id) current.set(conversation);
}

async function save(conversation: Conversation): Promise<void> {
  await saveConversation(conversation);
  const { id, title, updated } = conversation;
  const others = summaries.get().filter((summary) => summary.id !== id);
  summaries.set([{ id, title, updated }, ...others].sort((a, b) => b.updated - a.updated));
}

export async function loadSummaries(): Promise<void> {
  summaries.set(await conversationSummaries());
}

export function startNew(): void {
  current.set(newConversation(Date.now()));
}

/** Shows a stored conversation; tells whether there is one of that id. */
export async function show(id: string): Promise<boolean> {
  if (current.get()?.id === id) return true;
  const conversation = open.get(id) ?? (await loadConversation(id));
  if (!conversation) return false;
  open.set(id, conversation);
  current.set(conversation);
  return true;
}

export async function rename(conversation: Conversation, title: string): Promise<void> {
  const renamed = { ...conversation, title };
  put(renamed);
  await save(renamed);
}

export async function remove(id: string): Promise<void> {
  generations.get().get(id)?.abort.abort();
  open.delete(id);
  await deleteConversation(id);
  summaries.set(summaries.get().filter((summary) => summary.id !== id));
  if (current.get()?.id === id) startNew();
}

export async function removeAll(): Promise<void> {
  for (const generation of generations.get().values()) generation.abort.abort();
  open.clear();
  await deleteAllConversations();
  summaries.set([]);
  startNew();
}

function chatRequest(path: Message[]): ChatRequest {
  const chosen = settings.get();
  // Earlier turns go without their thinking, as the templates of reasoning models have it.
  const turns = path
    .filter(({ role, text }) => role === "user" || text !== "")
    .map(({ role, text }) => ({ role, content: text }));
  return {
    model: chosen.model,
    messages: chosen.systemPrompt.trim() ? [{ role: "system", content: chosen.systemPrompt }, ...turns] : turns,
    temperature: chosen.temperature ?? undefined,
    top_p: chosen.topP ?? undefined,
    top_k: chosen.topK ?? undefined,
    max_tokens: chosen.maxTokens ?? undefined,
    seed: chosen.seed ?? undefined,
    reasoning_effort: chosen.reasoningEffort || undefined,
    max_thinking_tokens: chosen.thinkingBudget ?? undefined,
    logprobs: chosen.recordProbabilities || undefined,
    top_logprobs: chosen.recordProbabilities ? ALTERNATIVES : undefined,
  };
}

function setGeneration(id: string, generation: Generation | null): void {
  const next = new Map(generations.get());
  if (generation) next.set(id, generation);
  else next.delete(id);
  generations.set(next);
}

/** Gathers the events of a stream and hands the growing message on once per frame. */
class StreamedMessage {
  private message: Message;
  private generation: Generation;
  private answeringSince = 0;
  private frame = 0;
  private saved = Date.now();

  constructor(message: Message, generation: Generation) {
    this.message = message;
    this.generation = generation;
  }

  add(event: ChatEvent): void {
    const now = Date.now();
    const message = this.message;
    switch (event.kind) {
      case "thinking":
        if (this.generation.phase !== "thinking") this.enter("thinking", now);
        message.thinking += event.text;
        message.thinkingRecords.push(...event.tokens);
        message.thinkingTokens += event.tokens.length || 1;
        message.thinkingTime = now - this.generation.thinkingSince;
        break;
      case "answer":
        if (this.generation.phase !== "answering") this.enter("answering", now);
        message.text += event.text;
        message.answerRecords.push(...event.tokens);
        message.answerTime = now - this.answeringSince;
        break;
      case "finish":
        message.finish = event.reason;
        break;
      case "usage":
        message.usage = event.usage;
        message.thinkingTokens = event.usage.reasoningTokens;
        break;
    }
    this.frame ||= requestAnimationFrame(() => this.flush());
  }

  fail(error: unknown): void {
    if (this.generation.abort.signal.aborted) {
      this.message.finish = "stopped";
      return;
    }
    const failure = error instanceof ApiError ? error : new ApiError("cut", String(error));
    const retryAt = failure.retryAfter === null ? null : Date.now() + failure.retryAfter * 1000;
    this.message.error = { kind: failure.kind, detail: failure.message, retryAt };
  }

  private enter(phase: Phase, now: number): void {
    const thinkingSince = phase === "thinking" ? now : this.generation.thinkingSince;
    if (phase === "answering") this.answeringSince = now;
    this.generation = { ...this.generation, phase, thinkingSince };
    setGeneration(this.generation.conversation, this.generation);
  }

  /** The conversation with what has come so far; null when it was deleted meanwhile. */
  flush(): Conversation | null {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const conversation = open.get(this.generation.conversation);
    if (!conversation) return null;
    const next = withChange(conversation, this.message.id, this.message);
    put(next);
    if (Date.now() - this.saved > SAVE_EVERY) {
      this.saved = Date.now();
      void saveConversation(next);
    }
    return next;
  }
}

/** Lets the model answer the message `parent`, as a new version beside earlier answers. */
async function answer(conversation: Conversation, parent: string): Promise<void> {
  const body = chatRequest(pathTo(conversation, parent));
  const message = { ...newMessage("assistant", parent, ""), model: body.model };
  const { id } = conversation;
  put(withMessage(conversation, message, Date.now()));
  const abort = new AbortController();
  const generation: Generation = { conversation: id, message: message.id, phase: "waiting", thinkingSince: 0, abort };
  setGeneration(id, generation);
  const streamed = new StreamedMessage(message, generation);
  try {
    await save(open.get(id)!);
    for await (const event of streamChat(body, abort.signal)) streamed.add(event);
  } catch (error) {
    streamed.fail(error);
  } finally {
    setGeneration(id, null);
    const last = streamed.flush();
    if (last) await save(last);
  }
}

export async function send(text: string): Promise<void> {
  const conversation = current.get();
  if (!conversation || generations.get().has(conversation.id)) return;
  const last = shownMessages(conversation).at(-1)?.id ?? null;
  const question = newMessage("user", last, text);
  await answer(withMessage(conversation, question, Date.now()), question.id);
}

/** Asks again for an answer; the earlier one stays as a version. */
export async function regenerate(message: Message): Promise<void> {
  const conversation = current.get();
  if (!conversation || message.parent === null || generations.get().has(conversation.id)) return;
  await answer(conversation, message.parent);
}

/** Asks a changed question in place of an earlier one, which stays as a version. */
export async function edit(message: Message, text: string): Promise<void> {
  const conversation = current.get();
  if (!conversation || generations.get().has(conversation.id)) return;
  const question = newMessage("user", message.parent, text);
  await answer(withMessage(conversation, question, Date.now()), question.id);
}

export function stop(): void {
  const conversation = current.get();
  if (conversation) generations.get().get(conversation.id)?.abort.abort();
}

export async function showVersion(message: Message): Promise<void> {
  const conversation = current.get();
  if (!conversation) return;
  const next = choose(conversation, message);
  put(next);
  await save(next);
}
