import { useEffect, useRef, useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import { generations, summaries } from "../state/chats";
import { addressOf, go, place } from "../state/location";
import { useStore } from "../state/store";
import { formatDay } from "../text/format";
import { Icon, IconButton } from "./icon";

interface Props {
  open: boolean;
  onClose: () => void;
  onSettings: () => void;
  onShortcuts: () => void;
}

export function Sidebar({ open, onClose, onSettings, onShortcuts }: Props) {
  const { t, language } = useLanguage();
  const [query, setQuery] = useState("");
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    if (open) nav.current?.querySelector("button")?.focus();
  }, [open]);
  const all = useStore(summaries);
  const streaming = useStore(generations);
  const where = useStore(place);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter(({ title }) => words.every((word) => title.toLowerCase().includes(word)));
  return (
    <nav
      ref={nav}
      class={`sidebar ${open ? "open" : ""}`}
      aria-label={t.conversations}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <div class="sidebar-head">
        <span class="brand">
          r1<span>.cpp</span>
        </span>
        <IconButton icon="close" label={t.closeSidebar} class="narrow-only" onClick={onClose} />
      </div>
      <button
        type="button"
        class="new-chat"
        onClick={() => {
          go({ view: "new" });
          onClose();
        }}
      >
        <Icon name="plus" /> {t.newChat}
      </button>
      <label class="search">
        <Icon name="search" />
        <input
          id="search"
          type="search"
          aria-label={t.search}
          placeholder={t.search}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
      </label>
      <ul class="conversations">
        {found.map(({ id, title, updated }) => {
          const current = where.view === "chat" && where.id === id;
          return (
            <li key={id}>
              <a href={addressOf({ view: "chat", id })} aria-current={current ? "page" : undefined} onClick={onClose}>
                <span class="conversation-title">{title || t.untitled}</span>
                {streaming.has(id) ? (
                  <span class="pulse" aria-hidden="true" />
                ) : (
                  <span class="day">{formatDay(updated, language)}</span>
                )}
              </a>
            </li>
          );
        })}
      </ul>
      {all.length === 0 && <p class="sidebar-note">{t.noConversations}</p>}
      {all.length > 0 && found.length === 0 && <p class="sidebar-note">{t.nothingFound}</p>}
      <div class="sidebar-foot">
        <a
          class="foot-link"
          href={addressOf({ view: "dashboard" })}
          aria-current={where.view === "dashboard" ? "page" : undefined}
          onClick={onClose}
        >
          <Icon name="chart" /> {t.dashboard}
        </a>
        <button type="button" class="foot-link" onClick={onSettings}>
          <Icon name="gear" /> {t.settings}
        </button>
        <IconButton icon="help" label={t.shortcuts} onClick={onShortcuts} />
      </div>
    </nav>
  );
}
