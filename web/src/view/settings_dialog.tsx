import { useRef, useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import { loadSummaries, removeAll } from "../state/chats";
import { download, exportAll, importAll } from "../state/exchange";
import { go } from "../state/location";
import { connect } from "../state/server";
import { changeSettings, resetSampling, settings, type Language, type Settings, type Theme } from "../state/settings";
import { useStore } from "../state/store";
import { ConfirmDialog, Dialog } from "./dialog";
import { askForKey } from "./key_dialog";

type NumberSetting = "temperature" | "topP" | "topK" | "maxTokens" | "seed" | "thinkingBudget";

const BOUNDS: Record<NumberSetting, { min: number; max: number; step: number }> = {
  temperature: { min: 0, max: 2, step: 0.05 },
  topP: { min: 0, max: 1, step: 0.01 },
  topK: { min: 0, max: 100000, step: 1 },
  maxTokens: { min: 1, max: 1000000, step: 1 },
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
  thinkingBudget: { min: 0, max: 1000000, step: 1 },
};

function NumberField({ name }: { name: NumberSetting }) {
  const { t } = useLanguage();
  const value = useStore(settings)[name];
  const bounds = BOUNDS[name];
  const change = (input: HTMLInputElement) => {
    // The field says itself what is wrong with a value out of bounds; such a value is not taken.
    if (!input.reportValidity()) return;
    changeSettings({ [name]: input.value === "" ? null : Number(input.value) });
  };
  return (
    <label class="field">
      <span>{t[name]}</span>
      <input
        type="number"
        {...bounds}
        step={Number.isInteger(bounds.step) ? 1 : "any"}
        placeholder={t.modelDefault}
        value={value ?? ""}
        onChange={(event) => change(event.currentTarget)}
      />
    </label>
  );
}

function Choice<T extends string>(props: { label: string; value: T; names: Record<T, string>; onChange: (value: T) => void }) {
  return (
    <fieldset class="choice">
      <legend>{props.label}</legend>
      <div class="segments">
        {(Object.entries(props.names) as [T, string][]).map(([value, name]) => (
          <label key={value}>
            <input
              type="radio"
              name={props.label}
              checked={props.value === value}
              onChange={() => props.onChange(value)}
            />
            <span lang={props.label === name ? undefined : value === "zh" ? "zh" : undefined}>{name}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function DataSection({ onDeleteAll }: { onDeleteAll: () => void }) {
  const { t } = useLanguage();
  const [failed, setFailed] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const read = async (file: File) => {
    setFailed(!(await importAll(await file.text())));
    await loadSummaries();
  };
  return (
    <section>
      <h3>{t.data}</h3>
      <div class="button-row">
        <button
          type="button"
          class="button"
          onClick={() => void exportAll().then((text) => download("conversations.json", "application/json", text))}
        >
          {t.exportAll}
        </button>
        <button type="button" class="button" onClick={() => picker.current?.click()}>
          {t.importFile}
        </button>
        <input
          ref={picker}
          type="file"
          accept="application/json,.json"
          hidden
          aria-label={t.importFile}
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) void read(file);
            event.currentTarget.value = "";
          }}
        />
        <button type="button" class="button danger" onClick={onDeleteAll}>
          {t.deleteAll}
        </button>
      </div>
      {failed && (
        <p class="field-error" role="alert">
          {t.importFailed}
        </p>
      )}
    </section>
  );
}

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLanguage();
  const chosen = useStore(settings);
  const [confirming, setConfirming] = useState(false);
  return (
    <Dialog title={t.settings} onClose={onClose}>
      <section class="two-columns">
        <Choice<Language>
          label={t.language}
          value={chosen.language}
          names={{ en: "English", zh: "中文" }}
          onChange={(language) => changeSettings({ language })}
        />
        <Choice<Theme>
          label={t.theme}
          value={chosen.theme}
          names={t.themes}
          onChange={(theme) => changeSettings({ theme })}
        />
      </section>
      <section>
        <div class="section-head">
          <h3>{t.sampling}</h3>
          <button type="button" class="button quiet" onClick={resetSampling}>
            {t.reset}
          </button>
        </div>
        <p class="hint">{t.samplingText}</p>
        <div class="two-columns">
          <NumberField name="temperature" />
          <NumberField name="topP" />
          <NumberField name="topK" />
          <NumberField name="seed" />
          <NumberField name="maxTokens" />
          <NumberField name="thinkingBudget" />
        </div>
        <label class="field">
          <span>{t.systemPrompt}</span>
          <textarea
            rows={3}
            value={chosen.systemPrompt}
            onChange={(event) => changeSettings({ systemPrompt: event.currentTarget.value } satisfies Partial<Settings>)}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={chosen.recordProbabilities}
            onChange={(event) => changeSettings({ recordProbabilities: event.currentTarget.checked })}
          />
          <span>{t.recordProbabilities}</span>
        </label>
      </section>
      <DataSection onDeleteAll={() => setConfirming(true)} />
      <section class="button-row">
        <button type="button" class="button" onClick={() => askForKey(() => void connect())}>
          {t.keyTitle}
        </button>
        <a class="button quiet" href="./licenses.txt" target="_blank" rel="noopener">
          {t.licenses}
        </a>
      </section>
      {confirming && (
        <ConfirmDialog
          question={t.deleteAllQuestion}
          onConfirm={() => {
            void removeAll();
            go({ view: "new" });
          }}
          onClose={() => setConfirming(false)}
        />
      )}
    </Dialog>
  );
}
