import { useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { entropyBits, type TokenRecord } from "../api/token_record";
import { useLanguage } from "../language/language";
import { createStore, useStore } from "../state/store";
import { formatNumber, formatShare } from "../text/format";

type Measure = "probability" | "entropy";

/** One choice for all messages on the page. */
const measure = createStore<Measure>("probability");

// A token's colour is one of nine steps; these bounds lie between them.
const PROBABILITY_STEPS = [0.95, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05, 0.01];
const ENTROPY_STEPS = [0.1, 0.3, 0.6, 1, 1.5, 2, 2.5, 3]; // bits
const LEVELS = PROBABILITY_STEPS.length + 1;

function level(token: TokenRecord, by: Measure): number {
  if (by === "entropy") {
    const bits = entropyBits(token);
    return ENTROPY_STEPS.filter((bound) => bits > bound).length;
  }
  const p = Math.exp(token.logprob);
  return PROBABILITY_STEPS.filter((bound) => p < bound).length;
}

/** White space would be invisible among alternatives. */
function visible(text: string): string {
  return text.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/ /g, "␣");
}

/** The token in the text: where it is nothing but white space, a sign stands for it. */
function shown(text: string): string {
  if (text.trim() !== "") return text;
  return text.replace(/[^\n]+/g, visible).replace(/\n/g, "↵\n");
}

function Alternatives({ token, id }: { token: TokenRecord; id: string }) {
  const { t, language } = useLanguage();
  const listed = new Map(token.top);
  listed.set(token.text, token.logprob);
  const rows = [...listed].sort(([, a], [, b]) => b - a);
  const rest = 1 - rows.reduce((sum, [, logprob]) => sum + Math.exp(logprob), 0);
  return (
    <div class="alternatives" id={id} role="tooltip">
      <div class="alternatives-head">
        <code>{visible(token.text)}</code>
        <span>{formatShare(Math.exp(token.logprob), language)}</span>
        <span>
          {t.entropy} {rest > 1e-6 ? "≥ " : ""}
          {t.entropyBits(formatNumber(entropyBits(token), language, 2))}
        </span>
      </div>
      <table>
        <caption class="visually-hidden">{t.alternatives}</caption>
        <tbody>
          {rows.map(([text, logprob]) => (
            <tr key={text} class={text === token.text ? "sampled" : ""}>
              <th scope="row">
                <code>{visible(text)}</code>
                {text === token.text && <span class="visually-hidden"> ({t.sampled})</span>}
              </th>
              <td>
                <span class="bar" style={{ width: `${Math.exp(logprob) * 100}%` }} />
              </td>
              <td class="share">{formatShare(Math.exp(logprob), language)}</td>
            </tr>
          ))}
          {rest > 0.0005 && (
            <tr class="others">
              <th scope="row">{t.otherTokens}</th>
              <td>
                <span class="bar" style={{ width: `${rest * 100}%` }} />
              </td>
              <td class="share">{formatShare(rest, language)}</td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

/**
 * The tokens of a text, coloured by how likely each was, or by how undecided the model was there.
 * A list box: one stop for the tabulator, arrow keys inside, alternatives of the active token.
 */
export function TokenView({ tokens, count }: { tokens: TokenRecord[]; count: number }) {
  const { t } = useLanguage();
  const by = useStore(measure);
  const [active, setActive] = useState<number | null>(null);
  const host = useRef<HTMLDivElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const id = useId();

  useLayoutEffect(() => {
    const token = active === null ? null : host.current?.querySelector<HTMLElement>(`[data-index="${active}"]`);
    if (!token || !panel.current) return;
    token.setAttribute("aria-selected", "true"); // by hand: there may be thousands of others
    // Below the token's first line, and inside of the page's width.
    const box = token.getClientRects()[0] ?? token.getBoundingClientRect();
    const frame = host.current!.parentElement!.getBoundingClientRect();
    const room = frame.width - panel.current.offsetWidth;
    panel.current.style.left = `${Math.max(0, Math.min(box.left - frame.left, room))}px`;
    panel.current.style.top = `${box.bottom - frame.top + 4}px`;
    return () => token.setAttribute("aria-selected", "false");
  }, [active, count]);

  const move = (event: KeyboardEvent) => {
    const last = tokens.length - 1;
    const at = active ?? -1;
    const next = {
      ArrowRight: Math.min(at + 1, last),
      ArrowLeft: Math.max(at - 1, 0),
      ArrowDown: Math.min(at + 10, last),
      ArrowUp: Math.max(at - 10, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Escape" && active !== null) {
      setActive(null);
      event.stopPropagation();
    } else if (next !== undefined) {
      setActive(next);
      host.current?.querySelector(`[data-index="${next}"]`)?.scrollIntoView({ block: "nearest" });
      event.preventDefault();
    }
  };
  const pointed = (event: Event) => {
    const index = (event.target as HTMLElement).dataset["index"];
    if (index !== undefined) setActive(Number(index));
  };

  const spans = useMemo(
    () =>
      tokens.map((token, index) => (
        <span
          key={index}
          id={`${id}-${index}`}
          data-index={index}
          role="option"
          aria-selected="false"
          class={`token ${by} level-${level(token, by)}`}
        >
          {shown(token.text)}
        </span>
      )),
    [tokens, count, by],
  );

  const token = active === null ? undefined : tokens[active];
  return (
    <div class="token-frame" onPointerLeave={(event) => event.pointerType === "mouse" && setActive(null)}>
      <div
        ref={host}
        class="tokens"
        role="listbox"
        tabIndex={0}
        aria-label={t.inspectTokens}
        aria-activedescendant={active === null ? undefined : `${id}-${active}`}
        aria-describedby={token ? `${id}-panel` : undefined}
        onKeyDown={move}
        onFocus={(event) => event.currentTarget.matches(":focus-visible") && setActive(0)}
        onBlur={() => setActive(null)}
        onPointerOver={pointed}
        onPointerDown={pointed}
        onClick={pointed}
      >
        {spans}
      </div>
      {token && (
        <div class="alternatives-anchor" ref={panel}>
          <Alternatives token={token} id={`${id}-panel`} />
        </div>
      )}
    </div>
  );
}

/** What the colours mean, and how sure the model was on the whole. */
export function InspectLegend({ tokens }: { tokens: TokenRecord[] }) {
  const { t, language } = useLanguage();
  const by = useStore(measure);
  const mean = tokens.reduce((sum, token) => sum + token.logprob, 0) / Math.max(tokens.length, 1);
  const unsure = tokens.filter((token) => Math.exp(token.logprob) < 0.5).length / Math.max(tokens.length, 1);
  return (
    <div class="inspect-legend">
      <label>
        {t.colourBy}{" "}
        <select value={by} onChange={(event) => measure.set(event.currentTarget.value as Measure)}>
          <option value="probability">{t.probability}</option>
          <option value="entropy">{t.entropy}</option>
        </select>
      </label>
      <span class="scale">
        <span>{by === "probability" ? t.certain : `0 ${t.entropyBits("").trim()}`}</span>
        <span class="steps" aria-hidden="true">
          {Array.from({ length: LEVELS }, (_, step) => (
            <i key={step} class={`${by} level-${step}`} />
          ))}
        </span>
        <span>{by === "probability" ? `${t.surprising} (< 1%)` : `${t.undecided} (> 3)`}</span>
      </span>
      <span>
        {t.perplexity} {formatNumber(Math.exp(-mean), language, 2)}
      </span>
      <span>
        {t.unsure} {formatShare(unsure, language)}
      </span>
    </div>
  );
}
