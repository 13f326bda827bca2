import type { Conversation } from "./conversation";

export interface ConversationSummary {
  id: string;
  title: string;
  updated: number;
}

const DATABASE = "r1";
const STORE = "conversations";

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

let opened: Promise<IDBDatabase> | null = null;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function objectStore(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  return (await database()).transaction(STORE, mode).objectStore(STORE);
}

export async function saveConversation(conversation: Conversation): Promise<void> {
  await done((await objectStore("readwrite")).put(conversation));
}

export async function loadConversation(id: string): Promise<Conversation | null> {
  return (await done((await objectStore("readonly")).get(id))) ?? null;
}

export async function allConversations(): Promise<Conversation[]> {
  return done((await objectStore("readonly")).getAll());
}

export async function deleteConversation(id: string): Promise<void> {
  await done((await objectStore("readwrite")).delete(id));
}

export async function deleteAllConversations(): Promise<void> {
  await done((await objectStore("readwrite")).clear());
}

/** Title and time of each conversation, latest first; read one by one, so that memory stays small. */
export async function conversationSummaries(): Promise<ConversationSummary[]> {
  const summaries: ConversationSummary[] = [];
  const request = (await objectStore("readonly")).openCursor();
  await new Promise<void>((resolve, reject) => {
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) return resolve();
      const { id, title, updated } = cursor.value as Conversation;
      summaries.push({ id, title, updated });
      cursor.continue();
    };
  });
  return summaries.sort((a, b) => b.updated - a.updated);
}
