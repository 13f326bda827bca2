import { createStore } from "./store";

export type Place = { view: "new" } | { view: "chat"; id: string } | { view: "dashboard" };

function read(): Place {
  const path = location.hash.replace(/^#\/?/, "");
  if (path === "dashboard") return { view: "dashboard" };
  const chat = /^chat\/([0-9a-f]+)$/.exec(path);
  return chat ? { view: "chat", id: chat[1]! } : { view: "new" };
}

/** Where the page is, as its address says. */
export const place = createStore<Place>(read());
addEventListener("hashchange", () => place.set(read()));

export function addressOf(target: Place): string {
  return target.view === "chat" ? `#/chat/${target.id}` : target.view === "dashboard" ? "#/dashboard" : "#/";
}

export function go(target: Place): void {
  location.hash = addressOf(target);
}

/** Changes the address without a step in the browser's history, as when a new chat gets its name. */
export function rename(target: Place): void {
  history.replaceState(null, "", addressOf(target));
  place.set(target);
}
