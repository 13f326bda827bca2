import { useLayoutEffect, useRef } from "preact/hooks";
import { useLanguage } from "../language/language";
import { MarkdownView } from "../text/markdown";

export function Markdown({ text, final }: { text: string; final: boolean }) {
  const { t } = useLanguage();
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<{ labels: unknown; view: MarkdownView } | null>(null);
  useLayoutEffect(() => {
    if (view.current?.labels !== t) {
      host.current!.replaceChildren();
      view.current = { labels: t, view: new MarkdownView(host.current!, t) };
    }
    view.current.view.update(text, final);
  }, [text, final, t]);
  return <div class="prose" ref={host} />;
}
