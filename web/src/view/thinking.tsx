import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLanguage } from "../language/language";
import type { Message } from "../state/conversation";
import { formatNumber, formatSeconds } from "../text/format";
import { Icon } from "./icon";

const TICK = 100; // ms between two updates of the running time

function useNow(running: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now()), TICK);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

/**
 * The thinking before an answer: open while it streams, closed when the answer begins; what the
 * reader chose by hand holds.
 */
export function Thinking(props: { message: Message; since: number | null; forceOpen: boolean; children: ComponentChildren }) {
  const { t, language } = useLanguage();
  const [chosen, setChosen] = useState<boolean | null>(null);
  const id = useId();
  const body = useRef<HTMLDivElement>(null);
  const streaming = props.since !== null;
  const open = chosen ?? (streaming || props.forceOpen);
  const now = useNow(streaming);
  const elapsed = (props.since === null ? props.message.thinkingTime : Math.max(0, now - props.since)) / 1000;
  const follow = streaming && chosen === null;

  useLayoutEffect(() => {
    if (follow && body.current) body.current.scrollTop = body.current.scrollHeight;
  });

  const time = formatSeconds(elapsed, language);
  return (
    <section class={`thinking ${streaming ? "streaming" : ""} ${follow ? "follow" : ""}`}>
      <button type="button" class="thinking-toggle" aria-expanded={open} aria-controls={id} onClick={() => setChosen(!open)}>
        <Icon name="down" />
        <span class="thinking-state">{streaming ? t.thinking : t.thoughtFor(time)}</span>
        <span class="thinking-count">
          {streaming ? `${time} · ` : "· "}
          {t.tokens(formatNumber(props.message.thinkingTokens, language))}
        </span>
      </button>
      <div
        id={id}
        ref={body}
        class="thinking-body"
        hidden={!open}
        role="region"
        aria-label={t.thinkingText}
        tabIndex={follow ? 0 : undefined}
      >
        {open && props.children}
      </div>
    </section>
  );
}
