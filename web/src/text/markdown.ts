import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";
import { highlight } from "./highlight";
import { escapeHtml, mathExtension, renderMath } from "./math";

const marked = new Marked(
  { gfm: true, breaks: true }, // models end lines where they mean it
  mathExtension,
  {
    renderer: {
      // Tags in an answer are text about tags; what they say would be lost as markup.
      html: ({ text }: Tokens.HTML | Tokens.Tag) => escapeHtml(text),
      // A picture's address would tell its server who reads; the reader may follow the link.
      image: ({ href, text }: Tokens.Image) => `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`,
      code({ text, lang }: Tokens.Code) {
        const language = (lang ?? "").trim().split(/\s+/)[0]!.toLowerCase();
        const code = highlight(text, language) ?? escapeHtml(text);
        return `<pre title="${escapeHtml(language)}"><code>${code}</code></pre>`;
      },
    },
  },
);

const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "input", "li",
    "ol", "p", "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["align", "checked", "class", "disabled", "href", "start", "title", "type"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#)/i,
  // These hold no address; without being named here they would have to look like one.
  ADD_URI_SAFE_ATTR: ["align", "start", "type"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true as const,
};

export interface MarkdownLabels {
  copy: string;
  copied: string;
  taskDone: string;
  taskOpen: string;
}

function copyButton(code: HTMLElement, labels: MarkdownLabels): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = labels.copy;
  button.addEventListener("click", () => {
    void navigator.clipboard.writeText(code.textContent ?? "").then(() => {
      button.textContent = labels.copied;
      setTimeout(() => (button.textContent = labels.copy), 1500);
    });
  });
  return button;
}

function renderBlock(token: Token, labels: MarkdownLabels): HTMLElement {
  const block = document.createElement("div");
  block.append(DOMPurify.sanitize(marked.parser([token]), ALLOWED));
  renderMath(block);
  for (const pre of block.querySelectorAll("pre")) {
    const code = pre.querySelector("code");
    if (!code) continue;
    const figure = document.createElement("div");
    figure.className = "code";
    const bar = document.createElement("div");
    bar.className = "code-bar";
    const language = document.createElement("span");
    language.textContent = pre.title;
    pre.removeAttribute("title");
    pre.tabIndex = 0; // long lines scroll, by keyboard, too
    bar.append(language, copyButton(code, labels));
    pre.replaceWith(figure);
    figure.append(bar, pre);
  }
  for (const table of block.querySelectorAll("table")) {
    const scroller = document.createElement("div");
    scroller.className = "table-scroller";
    scroller.tabIndex = 0;
    table.replaceWith(scroller);
    scroller.append(table);
  }
  for (const link of block.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const box of block.querySelectorAll("input")) {
    box.setAttribute("aria-label", box.checked ? labels.taskDone : labels.taskOpen);
  }
  return block;
}

// While text is appended, blocks before the last few can change no more (a list may still take in
// the lines after the blank line that follows it).
const UNSETTLED = 4;

/** Markdown in an element, cheap to bring up to date while its text grows. */
export class MarkdownView {
  private text = "";
  private blocks: { raw: string; element: HTMLElement | null }[] = [];

  constructor(
    private readonly host: HTMLElement,
    private readonly labels: MarkdownLabels,
  ) {}

  /** With `final` the whole text is read anew, so that later link definitions hold everywhere. */
  update(text: string, final: boolean): void {
    const settled = final || !text.startsWith(this.text) ? 0 : Math.max(0, this.blocks.length - UNSETTLED);
    const kept = this.blocks.slice(0, settled);
    const offset = kept.reduce((length, block) => length + block.raw.length, 0);
    const tokens = marked.lexer(text.slice(offset));
    let same = 0; // a block whose source did not change keeps its element, and so the selection in it
    while (!final && same < tokens.length && this.blocks[settled + same]?.raw === tokens[same]!.raw) same++;
    for (const block of this.blocks.slice(settled + same)) block.element?.remove();
    this.blocks = [...kept, ...this.blocks.slice(settled, settled + same)];
    for (const token of tokens.slice(same)) {
      const element = token.type === "space" || token.type === "def" ? null : renderBlock(token, this.labels);
      if (element) this.host.append(element);
      this.blocks.push({ raw: token.raw, element });
    }
    this.text = text;
  }
}
