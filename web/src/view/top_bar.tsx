import { useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import { remove, rename } from "../state/chats";
import { toMarkdown, type Conversation } from "../state/conversation";
import { download, fileName, toJson } from "../state/exchange";
import { go } from "../state/location";
import { server } from "../state/server";
import { changeSettings, settings } from "../state/settings";
import { useStore } from "../state/store";
import { ConfirmDialog } from "./dialog";
import { Icon, IconButton } from "./icon";

function ModelChoice() {
  const { t } = useLanguage();
  const { models } = useStore(server);
  const { model } = useStore(settings);
  return (
    <select
      class="model-choice"
      aria-label={t.model}
      value={model}
      onChange={(event) => changeSettings({ model: event.currentTarget.value })}
    >
      {models.length === 0 && <option value={model}>{model || t.noModels}</option>}
      {models.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

function ConversationTools({ conversation }: { conversation: Conversation }) {
  const { t } = useLanguage();
  const [confirming, setConfirming] = useState(false);
  const title = conversation.title || t.untitled;
  const markdown = () => toMarkdown(conversation, { user: t.you, assistant: t.model });
  return (
    <>
      <input
        class="title"
        aria-label={t.title}
        value={conversation.title}
        placeholder={t.untitled}
        onChange={(event) => void rename(conversation, event.currentTarget.value.trim())}
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
      />
      <details class="menu">
        <summary aria-label={t.more} title={t.more}>
          <Icon name="dots" />
        </summary>
        <div class="menu-items">
          <button type="button" onClick={() => download(fileName(title, "md"), "text/markdown", markdown())}>
            {t.exportMarkdown}
          </button>
          <button
            type="button"
            onClick={() => download(fileName(title, "json"), "application/json", toJson([conversation]))}
          >
            {t.exportJson}
          </button>
          <button type="button" class="danger" onClick={() => setConfirming(true)}>
            {t.deleteChat}
          </button>
        </div>
      </details>
      {confirming && (
        <ConfirmDialog
          question={t.deleteQuestion(title)}
          onConfirm={() => {
            void remove(conversation.id);
            go({ view: "new" });
          }}
          onClose={() => setConfirming(false)}
        />
      )}
    </>
  );
}

/** Above a conversation, or above the dashboard (then `conversation` is null). */
export function TopBar(props: { conversation: Conversation | null; sidebarOpen: boolean; onSidebar: () => void }) {
  const { t } = useLanguage();
  const stored = props.conversation && Object.keys(props.conversation.messages).length > 0;
  return (
    <header class="top-bar">
      <IconButton
        icon="menu"
        label={t.openSidebar}
        class="narrow-only open-sidebar"
        expanded={props.sidebarOpen}
        onClick={props.onSidebar}
      />
      {props.conversation ? (
        <ModelChoice />
      ) : (
        <a class="back" href="#/">
          <Icon name="left" /> {t.backToChat}
        </a>
      )}
      {stored && <ConversationTools key={props.conversation!.id} conversation={props.conversation!} />}
    </header>
  );
}
