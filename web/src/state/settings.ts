import { createStore } from "./store";

export type Language = "en" | "zh";
export type Theme = "system" | "light" | "dark";

/** What is null or empty is left to the model's own recommendation. */
export interface Settings {
  language: Language;
  theme: Theme;
  model: string;
  systemPrompt: string;
  temperature: number | null;
  topP: number | null;
  topK: number | null;
  maxTokens: number | null;
  seed: number | null;
  reasoningEffort: "" | "none" | "low" | "medium" | "high";
  thinkingBudget: number | null;
  recordProbabilities: boolean;
}

const KEY = "r1.settings";

function browserLanguage(): Language {
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function defaults(): Settings {
  return {
    language: browserLanguage(),
    theme: "system",
    model: "",
    systemPrompt: "",
    temperature: null,
    topP: null,
    topK: null,
    maxTokens: null,
    seed: null,
    reasoningEffort: "",
    thinkingBudget: null,
    recordProbabilities: true,
  };
}

function load(): Settings {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { ...defaults(), ...(stored as Partial<Settings>) };
  } catch {
    return defaults(); // a damaged entry must not lock anybody out
  }
}

export const settings = createStore<Settings>(load());

/** Changes some settings and remembers them in this browser. */
export function changeSettings(change: Partial<Settings>): void {
  settings.set({ ...settings.get(), ...change });
  localStorage.setItem(KEY, JSON.stringify(settings.get()));
}

/** Back to the model's own settings; language, theme and model stay. */
export function resetSampling(): void {
  const { language, theme, model } = settings.get();
  changeSettings({ ...defaults(), language, theme, model });
}
