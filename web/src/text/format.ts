import type { Language } from "../state/settings";

const locales: Record<Language, string> = { en: "en", zh: "zh-Hans" };

/** A span of time in seconds: 0.4 s, 12 s, 3 min 20 s. */
export function formatSeconds(seconds: number, language: Language): string {
  const second = language === "zh" ? "秒" : "s";
  const minute = language === "zh" ? "分" : "min";
  const gap = language === "zh" ? "" : " ";
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}${gap || " "}${second}`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} ${minute} ${whole % 60} ${second}`;
}

export function formatNumber(value: number, language: Language, digits = 0): string {
  return value.toLocaleString(locales[language], { maximumFractionDigits: digits });
}

/** A share of one in per cent; small ones keep a digit that tells them from nothing. */
export function formatShare(share: number, language: Language): string {
  if (share > 0 && share < 1e-5) return `< ${(1e-5).toLocaleString(locales[language], { style: "percent", maximumFractionDigits: 3 })}`;
  const digits = share < 0.001 ? 3 : share < 0.1 ? 1 : 0;
  return share.toLocaleString(locales[language], { style: "percent", maximumFractionDigits: digits });
}

export function formatDay(time: number, language: Language): string {
  return new Date(time).toLocaleDateString(locales[language], { month: "short", day: "numeric" });
}
