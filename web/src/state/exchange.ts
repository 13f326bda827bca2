import { allConversations, saveConversation } from "./conversation_database";
import { newMessage, type Conversation, type Message } from "./conversation";

const FORMAT = "r1-conversations";

export function toJson(conversations: Conversation[]): string {
  return JSON.stringify({ format: FORMAT, version: 1, conversations }, null, 1);
}

export async function exportAll(): Promise<string> {
  return toJson(await allConversations());
}

function readMessage(value: unknown): Message | null {
  if (typeof value !== "object" || value === null) return null;
  const stored = value as Partial<Message>;
  if (typeof stored.id !== "string" || typeof stored.text !== "string") return null;
  if (stored.role !== "user" && stored.role !== "assistant") return null;
  const parent = typeof stored.parent === "string" ? stored.parent : null;
  const message: Message = { ...newMessage(stored.role, parent, stored.text), id: stored.id };
  if (typeof stored.thinking === "string") message.thinking = stored.thinking;
  if (typeof stored.model === "string") message.model = stored.model;
  if (typeof stored.thinkingTime === "number") message.thinkingTime = stored.thinkingTime;
  if (typeof stored.answerTime === "number") message.answerTime = stored.answerTime;
  if (typeof stored.thinkingTokens === "number") message.thinkingTokens = stored.thinkingTokens;
  if (typeof stored.finish === "string") message.finish = stored.finish;
  return message;
}

/** Reads what toJson wrote; the file is not trusted. Null when it is no such file. */
export function fromJson(text: string): Conversation[] | null {
  let file: { format?: unknown; conversations?: unknown };
  try {
    file = JSON.parse(text);
  } catch {
    return null;
  }
  if (file?.format !== FORMAT || !Array.isArray(file.conversations)) return null;
  const conversations: Conversation[] = [];
  for (const stored of file.conversations as Partial<Conversation>[]) {
    if (!/^[0-9a-f]+$/.test(String(stored?.id)) || !stored.messages) return null;
    const messages: Record<string, Message> = {};
    for (const value of Object.values(stored.messages)) {
      const message = readMessage(value);
      if (!message) return null;
      messages[message.id] = message;
    }
    const chosen = Object.entries(stored.chosen ?? {}).filter(([, id]) => typeof id === "string");
    conversations.push({
      id: stored.id!,
      title: String(stored.title ?? ""),
      updated: Number(stored.updated) || 0,
      messages,
      chosen: Object.fromEntries(chosen),
    });
  }
  return conversations;
}

/** Stores the conversations of an exported file; tells whether it was one. */
export async function importAll(text: string): Promise<boolean> {
  const conversations = fromJson(text);
  if (!conversations) return false;
  for (const conversation of conversations) await saveConversation(conversation);
  return true;
}

/** Hands a text to the browser as a file to save. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A file name from a title. */
export function fileName(title: string, extension: string): string {
  const safe = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 50);
  return `${safe || "conversation"}.${extension}`;
}
