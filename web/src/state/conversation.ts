import type { ApiErrorKind } from "../api/api_error";
import type { Usage } from "../api/chat";
import type { TokenRecord } from "../api/token_record";

export interface MessageError {
  kind: ApiErrorKind;
  detail: string;
  /** Milliseconds since the epoch at which another try makes sense. */
  retryAt: number | null;
}

export interface Message {
  id: string;
  parent: string | null;
  role: "user" | "assistant";
  text: string;
  thinking: string;
  model: string;
  /** Milliseconds from the first to the last of the thinking, and of the answer. */
  thinkingTime: number;
  answerTime: number;
  /** Counted while they arrive, exact once the server has told the usage. */
  thinkingTokens: number;
  usage: Usage | null;
  /** stop, length, … as the server says; "stopped" when the user did; null while it streams. */
  finish: string | null;
  error: MessageError | null;
  /** Tokens with probabilities, where they were asked for. */
  thinkingRecords: TokenRecord[];
  answerRecords: TokenRecord[];
}

/**
 * A tree of messages: an edited question or a regenerated answer becomes a sibling of the first, and
 * `chosen` tells which child of each message (of ROOT for the first) is shown.
 */
export interface Conversation {
  id: string;
  title: string;
  /** Milliseconds since the epoch. */
  updated: number;
  messages: Record<string, Message>;
  chosen: Record<string, string>;
}

const ROOT = "root";
const TITLE_LENGTH = 60;

export function newConversation(now: number): Conversation {
  return { id: newId(), title: "", updated: now, messages: {}, chosen: {} };
}

/** Unlike crypto.randomUUID, also there when the page comes over plain HTTP from another machine. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newMessage(role: Message["role"], parent: string | null, text: string): Message {
  return {
    id: newId(),
    parent,
    role,
    text,
    thinking: "",
    model: "",
    thinkingTime: 0,
    answerTime: 0,
    thinkingTokens: 0,
    usage: null,
    finish: null,
    error: null,
    thinkingRecords: [],
    answerRecords: [],
  };
}

/** The conversation with one message more, which becomes the chosen one among its siblings. */
export function withMessage(conversation: Conversation, message: Message, now: number): Conversation {
  const firstLine = message.text.trim().split("\n")[0] ?? "";
  const title = conversation.title || (message.role === "user" ? firstLine.slice(0, TITLE_LENGTH) : "");
  return {
    ...conversation,
    title,
    updated: now,
    messages: { ...conversation.messages, [message.id]: message },
    chosen: { ...conversation.chosen, [message.parent ?? ROOT]: message.id },
  };
}

/** The conversation with a message changed in place. */
export function withChange(conversation: Conversation, id: string, change: Partial<Message>): Conversation {
  const message = conversation.messages[id];
  if (!message) return conversation;
  return { ...conversation, messages: { ...conversation.messages, [id]: { ...message, ...change } } };
}

/** The message and its versions, oldest first. */
export function siblings(conversation: Conversation, message: Message): Message[] {
  return Object.values(conversation.messages).filter((other) => other.parent === message.parent);
}

export function choose(conversation: Conversation, message: Message): Conversation {
  return { ...conversation, chosen: { ...conversation.chosen, [message.parent ?? ROOT]: message.id } };
}

/** The messages shown, from the first to the last. */
export function shownMessages(conversation: Conversation): Message[] {
  const shown: Message[] = [];
  const seen = new Set<string>(); // an imported file may hold a circle
  let id = conversation.chosen[ROOT];
  while (id !== undefined && !seen.has(id)) {
    seen.add(id);
    const message = conversation.messages[id];
    if (!message) break;
    shown.push(message);
    id = conversation.chosen[id];
  }
  return shown;
}

/** From the first message to the given one, whatever is chosen. */
export function pathTo(conversation: Conversation, id: string | null): Message[] {
  const path: Message[] = [];
  const seen = new Set<string>();
  while (id !== null && !seen.has(id)) {
    seen.add(id);
    const message: Message | undefined = conversation.messages[id];
    if (!message) break;
    path.unshift(message);
    id = message.parent;
  }
  return path;
}

/** The shown messages as a Markdown document. */
export function toMarkdown(conversation: Conversation, names: { user: string; assistant: string }): string {
  const parts = [`# ${conversation.title}`];
  for (const message of shownMessages(conversation)) {
    parts.push(`## ${names[message.role]}`);
    if (message.thinking) parts.push(message.thinking.trim().replace(/^/gm, "> "));
    parts.push(message.text.trim());
  }
  return `${parts.join("\n\n")}\n`;
}
