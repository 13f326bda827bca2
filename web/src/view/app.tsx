import { useEffect, useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import { current, loadSummaries, show, startNew, summaries } from "../state/chats";
import { go, place, rename } from "../state/location";
import { connect, server } from "../state/server";
import { settings } from "../state/settings";
import { useStore } from "../state/store";
import { ChatView } from "./chat_view";
import { Dashboard } from "./dashboard";
import { askForKey, KeyDialog } from "./key_dialog";
import { SettingsDialog } from "./settings_dialog";
import { ShortcutsDialog, useShortcuts } from "./shortcuts";
import { Sidebar } from "./sidebar";
import { TopBar } from "./top_bar";

/** Keeps the address and the conversation on the page in step. */
function useConversation() {
  const where = useStore(place);
  const conversation = useStore(current);
  const stored = useStore(summaries).some(({ id }) => id === conversation?.id);
  useEffect(() => {
    if (where.view === "chat") {
      void show(where.id).then((found) => found || go({ view: "new" }));
    } else if (where.view === "new" && current.get() && Object.keys(current.get()!.messages).length > 0) {
      startNew();
    }
  }, [where]);
  useEffect(() => {
    // The first question makes a conversation of a new chat.
    if (stored && where.view === "new" && conversation) rename({ view: "chat", id: conversation.id });
  }, [stored, conversation?.id]);
  return { where, conversation };
}

function useAppearance() {
  const { theme, language } = useStore(settings);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  }, [theme, language]);
}

function ServerProblem() {
  const { t } = useLanguage();
  const { problem } = useStore(server);
  if (!problem) return null;
  return (
    <div class="banner" role="alert">
      <span>{t.errors[problem.kind]}</span>
      {problem.kind === "unauthorized" ? (
        <button type="button" class="button" onClick={() => askForKey(() => void connect())}>
          {t.enterKey}
        </button>
      ) : (
        <button type="button" class="button" onClick={() => void connect()}>
          {t.retry}
        </button>
      )}
    </div>
  );
}

export function App() {
  const { t } = useLanguage();
  const { where, conversation } = useConversation();
  const [sidebar, setSidebar] = useState(false);
  const [dialog, setDialog] = useState<"settings" | "shortcuts" | null>(null);
  const [storageFailed, setStorageFailed] = useState(false);
  // Where there is room, the sidebar is always there.
  const openSidebar = () => setSidebar(matchMedia("(max-width: 760px)").matches);
  const closeSidebar = () => {
    if (!sidebar) return;
    setSidebar(false);
    // Until the next frame the rest of the page cannot take the focus.
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".open-sidebar")?.focus());
  };
  useAppearance();
  useShortcuts({ help: () => setDialog("shortcuts"), openSidebar });
  useEffect(() => {
    void connect();
    loadSummaries().catch(() => setStorageFailed(true));
  }, []);
  const dashboard = where.view === "dashboard";
  useEffect(() => {
    const title = dashboard ? t.dashboard : conversation?.title;
    document.title = title ? `${title} · r1` : "r1";
  }, [dashboard, conversation?.title, t]);
  return (
    <div class="app">
      {!dashboard && (
        <a
          class="skip"
          href="#composer"
          onClick={(event) => {
            event.preventDefault(); // the address is the conversation's
            document.getElementById("composer")?.focus();
          }}
        >
          {t.skipToInput}
        </a>
      )}
      <Sidebar
        open={sidebar}
        onClose={closeSidebar}
        onSettings={() => setDialog("settings")}
        onShortcuts={() => setDialog("shortcuts")}
      />
      {sidebar && <div class="backdrop" onClick={closeSidebar} />}
      <main inert={sidebar}>
        <TopBar
          conversation={dashboard ? null : conversation}
          sidebarOpen={sidebar}
          onSidebar={openSidebar}
        />
        <ServerProblem />
        {storageFailed && (
          <div class="banner" role="alert">
            {t.storageFailed}
          </div>
        )}
        {dashboard ? <Dashboard /> : conversation && <ChatView conversation={conversation} />}
      </main>
      {dialog === "settings" && <SettingsDialog onClose={() => setDialog(null)} />}
      {dialog === "shortcuts" && <ShortcutsDialog onClose={() => setDialog(null)} />}
      <KeyDialog />
    </div>
  );
}
