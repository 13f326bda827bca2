import { settings, type Language } from "../state/settings";
import { useStore } from "../state/store";
import { en } from "./en";
import { zh } from "./zh";

const dictionaries: Record<Language, typeof en> = { en, zh };

export type Dictionary = typeof en;

export function useLanguage(): { t: Dictionary; language: Language } {
  const { language } = useStore(settings);
  return { t: dictionaries[language], language };
}
