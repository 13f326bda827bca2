import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import { send, stop } from "../state/chats";
import { changeSettings, settings, type Settings } from "../state/settings";
import { useStore } from "../state/store";
import { Icon } from "./icon";

const MAX_HEIGHT = 240; // px

export function Composer({ busy, conversation }: { busy: boolean; conversation: string }) {
  const { t } = useLanguage();
  const { reasoningEffort } = useStore(settings);
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);

  useLayoutEffect(() => {
    const area = field.current!;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, MAX_HEIGHT)}px`;
  }, [text]);
  // On a phone the focus would raise the keyboard over the conversation.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, [conversation]);

  const submit = () => {
    if (busy || !text.trim()) return;
    void send(text.trim());
    setText("");
  };
  const keyDown = (event: KeyboardEvent) => {
    // Enter also ends the composition of a Chinese word, and does not send then.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && text === "" && !busy) {
      const buttons = document.querySelectorAll<HTMLButtonElement>(".message.user .edit");
      const last = buttons[buttons.length - 1];
      if (last) event.preventDefault();
      last?.click();
    }
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div class="composer-box">
        <textarea
          id="composer"
          ref={field}
          rows={1}
          aria-label={t.message}
          placeholder={t.placeholder}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={keyDown}
        />
        <div class="composer-bar">
          <label class="effort">
            <span>{t.effort}</span>
            <select
              value={reasoningEffort}
              onChange={(event) =>
                changeSettings({ reasoningEffort: event.currentTarget.value as Settings["reasoningEffort"] })
              }
            >
              {Object.entries(t.efforts).map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          {busy ? (
            <button type="button" class="send stop" aria-label={t.stop} title={t.stop} onClick={stop}>
              <Icon name="stop" />
            </button>
          ) : (
            <button type="submit" class="send" aria-label={t.send} title={t.send} disabled={!text.trim()}>
              <Icon name="send" />
            </button>
          )}
        </div>
      </div>
      <p class="disclaimer">{t.disclaimer}</p>
    </form>
  );
}
