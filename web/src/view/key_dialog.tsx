import { useState } from "preact/hooks";
import { apiKey, setApiKey } from "../api/client";
import { useLanguage } from "../language/language";
import { createStore, useStore } from "../state/store";
import { Dialog } from "./dialog";

const asked = createStore<{ then: () => void } | null>(null);

/** Opens the dialog for the API key; `then` runs once one was entered. */
export function askForKey(then: () => void): void {
  asked.set({ then });
}

export function KeyDialog() {
  const { t } = useLanguage();
  const question = useStore(asked);
  const [key, setKey] = useState("");
  if (!question) return null;
  const close = () => asked.set(null);
  const finish = (value: string) => {
    setApiKey(value.trim());
    setKey("");
    close();
    question.then();
  };
  return (
    <Dialog title={t.keyTitle} onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          finish(key);
        }}
      >
        <p id="key-text">{t.keyText}</p>
        <label class="field">
          <span>{t.keyLabel}</span>
          <input
            type="password"
            autocomplete="off"
            aria-describedby="key-text"
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        <footer>
          {apiKey() && (
            <button type="button" class="button" onClick={() => finish("")}>
              {t.keyForget}
            </button>
          )}
          <button type="submit" class="button primary" disabled={!key.trim()}>
            {t.save}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
