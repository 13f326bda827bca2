/** A token as it was sampled: its text, its log-probability (natural), and what else was likely. */
export interface TokenRecord {
  text: string;
  logprob: number;
  /** The likeliest tokens with their log-probabilities, best first; may hold the sampled one. */
  top: [text: string, logprob: number][];
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A token may be part of a character; then its bytes say more than its replacement characters. */
function tokenText(token: unknown, bytes: unknown): string {
  if (Array.isArray(bytes)) {
    try {
      return utf8.decode(Uint8Array.from(bytes as number[]));
    } catch {
      return `⟨${bytes.map((byte) => Number(byte).toString(16).padStart(2, "0")).join(" ")}⟩`;
    }
  }
  return typeof token === "string" ? token : "";
}

/** Reads a `logprobs.content` list; what is not of that form is left out. */
export function readTokenRecords(list: unknown): TokenRecord[] {
  if (!Array.isArray(list)) return [];
  return list
    .filter((entry) => typeof entry?.logprob === "number")
    .map((entry) => ({
      text: tokenText(entry.token, entry.bytes),
      logprob: entry.logprob,
      top: (Array.isArray(entry.top_logprobs) ? entry.top_logprobs : [])
        .filter((other: { logprob?: unknown }) => typeof other?.logprob === "number")
        .map((other: { token: unknown; bytes: unknown; logprob: number }) => [
          tokenText(other.token, other.bytes),
          other.logprob,
        ]),
    }));
}

/**
 * Shannon entropy in bits of the distribution the token was drawn from, as far as it was told: what
 * the listed tokens leave over counts as one further token, so this is a lower bound.
 */
export function entropyBits(token: TokenRecord): number {
  const listed = new Map(token.top);
  listed.set(token.text, token.logprob);
  let rest = 1;
  let bits = 0;
  for (const logprob of listed.values()) {
    const p = Math.exp(logprob);
    rest -= p;
    if (p > 0) bits -= (p * logprob) / Math.LN2;
  }
  if (rest > 1e-6) bits -= rest * Math.log2(rest);
  return Math.max(0, bits);
}
