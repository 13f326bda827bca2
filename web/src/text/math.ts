import katex from "katex";
import type { MarkedExtension, Tokens } from "marked";

interface MathToken extends Tokens.Generic {
  text: string;
  display: boolean;
}

// "$5 and $10" is money: a formula neither begins nor ends with a space, and no digit follows it.
const INLINE = [
  { pattern: /^\\\(([\s\S]+?)\\\)/, display: false },
  { pattern: /^\\\[([\s\S]+?)\\\]/, display: true },
  { pattern: /^\$\$([^$]+?)\$\$/, display: true },
  { pattern: /^\$(?![\s$])((?:\\.|[^$\\\n])*?(?:\\.|[^\s$\\]))\$(?!\d)/, display: false },
];
const BLOCK = [/^ {0,3}\$\$([\s\S]+?)\$\$[ \t]*(?:\n|$)/, /^ {0,3}\\\[([\s\S]+?)\\\][ \t]*(?:\n|$)/];

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function renderer(token: Tokens.Generic): string {
  const { text, display } = token as MathToken;
  return `<span class="${display ? "math display" : "math"}">${escapeHtml(text)}</span>`;
}

/** Markdown syntax for $…$, $$…$$, \(…\) and \[…\]; leaves the TeX in elements for renderMath. */
export const mathExtension: MarkedExtension = {
  extensions: [
    {
      name: "mathBlock",
      level: "block",
      start: (source) => /(?:^|\n) {0,3}(?:\$\$|\\\[)/.exec(source)?.index,
      tokenizer(source) {
        for (const pattern of BLOCK) {
          const match = pattern.exec(source);
          if (match) return { type: "mathBlock", raw: match[0], text: match[1]!.trim(), display: true };
        }
        return undefined;
      },
      renderer,
    },
    {
      name: "math",
      level: "inline",
      start: (source) => /\$|\\[([]/.exec(source)?.index,
      tokenizer(source) {
        for (const { pattern, display } of INLINE) {
          const match = pattern.exec(source);
          if (match) return { type: "math", raw: match[0], text: match[1]!.trim(), display };
        }
        return undefined;
      },
      renderer,
    },
  ],
};

/**
 * Typesets the formulas that mathExtension left. KaTeX builds elements and sets styles through their
 * properties, so the page needs neither innerHTML nor inline styles.
 */
export function renderMath(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLElement>("span.math")) {
    katex.render(element.textContent ?? "", element, {
      displayMode: element.classList.contains("display"),
      throwOnError: false,
      trust: false,
      strict: "ignore",
      maxExpand: 1000,
      maxSize: 40,
    });
  }
}
