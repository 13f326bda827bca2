import { useEffect, useRef, useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import { edit, regenerate, showVersion, type Generation } from "../state/chats";
import type { Message, MessageError } from "../state/conversation";
import { formatNumber } from "../text/format";
import { Icon, IconButton } from "./icon";
import { InspectLegend, TokenView } from "./inspect";
import { askForKey } from "./key_dialog";
import { Markdown } from "./markdown";
import { Thinking } from "./thinking";

function CopyButton({ text }: { text: string }) {
  const { t } = useLanguage();
  const [copied, setCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  };
  return <IconButton icon={copied ? "check" : "copy"} label={copied ? t.copied : t.copy} class="copy-message" onClick={copy} />;
}

function Versions({ message, versions }: { message: Message; versions: Message[] }) {
  const { t } = useLanguage();
  if (versions.length < 2) return null;
  const index = versions.findIndex(({ id }) => id === message.id);
  const go = (to: number) => versions[to] && void showVersion(versions[to]);
  return (
    <span class="versions">
      <IconButton icon="left" label={t.previousVersion} disabled={index === 0} onClick={() => go(index - 1)} />
      <span>
        <span class="visually-hidden">{t.version(index + 1, versions.length)}</span>
        <span aria-hidden="true">
          {index + 1}/{versions.length}
        </span>
      </span>
      <IconButton
        icon="right"
        label={t.nextVersion}
        disabled={index === versions.length - 1}
        onClick={() => go(index + 1)}
      />
    </span>
  );
}

function Failure({ error, onRetry }: { error: MessageError; onRetry: () => void }) {
  const { t } = useLanguage();
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const count = () => setLeft(Math.max(0, Math.ceil(((error.retryAt ?? 0) - Date.now()) / 1000)));
    count();
    const timer = setInterval(count, 500);
    return () => clearInterval(timer);
  }, [error]);
  return (
    <div class="failure" role="alert">
      <p>{t.errors[error.kind]}</p>
      <p class="detail">{error.detail}</p>
      <div class="failure-actions">
        {error.kind === "unauthorized" && (
          <button type="button" class="button primary" onClick={() => askForKey(onRetry)}>
            {t.enterKey}
          </button>
        )}
        <button type="button" class="button" disabled={left > 0} onClick={onRetry}>
          {left > 0 ? t.retryIn(left) : t.retry}
        </button>
      </div>
    </div>
  );
}

interface Props {
  message: Message;
  versions: Message[];
  /** While this message is being streamed. */
  generation: Generation | null;
  /** While any answer of this conversation is being streamed. */
  busy: boolean;
}

function EditForm({ message, onClose }: { message: Message; onClose: () => void }) {
  const { t } = useLanguage();
  const [text, setText] = useState(message.text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const submit = () => {
    if (!text.trim()) return;
    onClose();
    void edit(message, text.trim());
  };
  return (
    <form
      class="edit-form"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        ref={field}
        aria-label={t.editLabel}
        value={text}
        rows={Math.min(12, text.split("\n").length + 1)}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            submit();
          } else if (event.key === "Escape") {
            event.stopPropagation();
            onClose();
          }
        }}
      />
      <div class="edit-actions">
        <button type="button" class="button" onClick={onClose}>
          {t.cancel}
        </button>
        <button type="submit" class="button primary" disabled={!text.trim()}>
          {t.saveEdit}
        </button>
      </div>
    </form>
  );
}

export function UserMessage({ message, versions, busy }: Props) {
  const { t } = useLanguage();
  const [editing, setEditing] = useState(false);
  return (
    <article class="message user" aria-label={t.you} data-message={message.id}>
      {editing ? (
        <EditForm message={message} onClose={() => setEditing(false)} />
      ) : (
        <>
          <div class="bubble">{message.text}</div>
          <div class="message-bar">
            <Versions message={message} versions={versions} />
            <CopyButton text={message.text} />
            <IconButton icon="edit" label={t.edit} disabled={busy} class="edit" onClick={() => setEditing(true)} />
          </div>
        </>
      )}
    </article>
  );
}

function Statistics({ message }: { message: Message }) {
  const { t, language } = useLanguage();
  const { usage } = message;
  if (!usage) return null;
  const seconds = (message.thinkingTime + message.answerTime) / 1000;
  const parts = [t.tokens(formatNumber(usage.completionTokens, language))];
  if (seconds > 0 && usage.completionTokens > 1) {
    parts.push(t.tokensPerSecond(formatNumber(usage.completionTokens / seconds, language)));
  }
  const cached = usage.cachedTokens > 0 ? ` (${t.cachedTokens(formatNumber(usage.cachedTokens, language))})` : "";
  parts.push(t.promptTokens(formatNumber(usage.promptTokens, language)) + cached);
  return <span class="statistics">{parts.join(" · ")}</span>;
}

function ending(message: Message, t: ReturnType<typeof useLanguage>["t"]): string | null {
  if (message.finish === "length") return t.lengthLimit;
  if (message.finish === "stopped") return t.stopped;
  if (message.finish === null && !message.error) return t.interrupted;
  if (message.finish !== null && message.text === "") return t.noAnswer;
  return null;
}

export function AssistantMessage({ message, versions, generation, busy }: Props) {
  const { t, language } = useLanguage();
  const [inspecting, setInspecting] = useState(false);
  const streaming = generation !== null;
  const thinkingRecords = message.thinkingRecords.length;
  const answerRecords = message.answerRecords.length;
  const recorded = thinkingRecords + answerRecords > 0;
  const note = streaming ? null : ending(message, t);
  return (
    <article class="message assistant" aria-label={message.model || t.model} data-message={message.id} aria-busy={streaming}>
      {inspecting && recorded && <InspectLegend tokens={[...message.thinkingRecords, ...message.answerRecords]} />}
      {inspecting && !recorded && <p class="note">{t.noRecords}</p>}
      {generation?.phase === "waiting" && (
        <p class="waiting">
          <span class="pulse" aria-hidden="true" />
          {t.waiting}
        </p>
      )}
      {message.thinking && (
        <Thinking
          message={message}
          since={generation?.phase === "thinking" ? generation.thinkingSince : null}
          forceOpen={inspecting || (!streaming && message.text === "")}
        >
          {inspecting && thinkingRecords > 0 ? (
            <TokenView tokens={message.thinkingRecords} count={thinkingRecords} />
          ) : (
            <Markdown text={message.thinking} final={!streaming} />
          )}
        </Thinking>
      )}
      {inspecting && answerRecords > 0 ? (
        <TokenView tokens={message.answerRecords} count={answerRecords} />
      ) : (
        message.text && <Markdown text={message.text} final={!streaming} />
      )}
      {message.error && <Failure error={message.error} onRetry={() => void regenerate(message)} />}
      {note && <p class="note">{note}</p>}
      {!streaming && (
        <div class="message-bar">
          <Versions message={message} versions={versions} />
          <CopyButton text={message.text} />
          <IconButton icon="again" label={t.regenerate} disabled={busy} class="regenerate" onClick={() => void regenerate(message)} />
          <button
            type="button"
            class="inspect-button"
            aria-pressed={inspecting}
            onClick={() => setInspecting(!inspecting)}
          >
            <Icon name="inspect" /> {t.inspect}
          </button>
          <Statistics message={message} key={language} />
        </div>
      )}
    </article>
  );
}
