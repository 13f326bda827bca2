/** What the test double answers, by a word in the last message. */

const ATTACKS = [
  "<script>window.attacked = 'script'</script>",
  "<img src=x onerror=\"window.attacked = 'onerror'\">",
  "<svg onload=\"window.attacked = 'svg'\"></svg>",
  "[click me](javascript:window.attacked='link')",
  "[encoded](jav&#x61;script:window.attacked='entity')",
  "![tracker](http://127.0.0.1:9/pixel.png)",
  "<iframe srcdoc=\"<script>parent.attacked = 'frame'</script>\"></iframe>",
  "<a href=\"data:text/html,<script>opener.attacked = 'data'</script>\">data</a>",
  "<style>body { display: none }</style>",
  "<form id=\"app\" action=\"http://127.0.0.1:9/\"><input name=\"innerHTML\"></form>",
  "$\\href{javascript:window.attacked='tex'}{x}$",
  "$\\htmlStyle{position:fixed;inset:0}{x}$",
  "`<script>window.attacked = 'code'</script>`",
  "```html\n<script>window.attacked = 'block'</script>\n```",
  "```\"><img src=x onerror=window.attacked='language'>\ncode\n```",
].join("\n\n");

const MARKDOWN = String.raw`The roots of $ax^2 + bx + c = 0$ are

$$x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$$

so with \(a = 1\), \(b = -3\), \(c = 2\):

\[x_1 = 1, \qquad x_2 = 2\]

It costs $5 and not $10.

## In code

${"```"}python
def roots(a: float, b: float, c: float) -> tuple[float, float]:
    """Both solutions of a*x**2 + b*x + c == 0."""
    d = (b * b - 4 * a * c) ** 0.5
    return (-b + d) / (2 * a), (-b - d) / (2 * a)

print(roots(1, -3, 2))  # (2.0, 1.0)
${"```"}

| root | value | check |
| --- | --- | --- |
| $x_1$ | 1 | $1 - 3 + 2 = 0$ |
| $x_2$ | 2 | $4 - 6 + 2 = 0$ |

- [x] factors: **(x − 1)(x − 2)**
- [ ] a plot

See [the formula](https://example.org/quadratic).`;

const ANSWERS = [
  { word: "attack", thinking: ATTACKS, answer: ATTACKS },
  {
    word: "roots",
    thinking:
      "The polynomial is $x^2 - 3x + 2$. I look for two numbers with product 2 and sum 3.\n1 and 2 do.\n" +
      "Wait, let me check with the formula: the discriminant is $9 - 8 = 1$, so $x = (3 \\pm 1)/2$.\nThat gives 2 and 1. It agrees.",
    answer: MARKDOWN,
  },
  {
    word: "slow",
    thinking: Array.from({ length: 40 }, (_, i) => `Step ${i + 1}: ${i + 1} + ${i + 1} = ${2 * (i + 1)}.`).join("\n"),
    answer: Array.from({ length: 40 }, (_, i) => `Line ${i + 1} of the answer.`).join("\n\n"),
    pause: 8,
  },
  { word: "plain", thinking: "", answer: "No thinking was needed." },
  { word: "limit", thinking: "This thought is too long for its", answer: "", finish: "length" },
  { word: "解", thinking: "移项得 3x = 31 - 7 = 24。\n两边除以 3，得 x = 8。\n检验：3 × 8 + 7 = 31，正确。", answer: "方程 $3x + 7 = 31$ 的解是 **x = 8**。" },
];

const DEFAULT = {
  thinking: "Step by step.\n3x = 31 - 7 = 24\nWait, is 31 - 7 = 24? Yes.\nx = 24 / 3 = 8\nCheck: 3 * 8 + 7 = 31.",
  answer: "Subtract 7 and divide by 3: $x = \\frac{31 - 7}{3} = 8$.",
};

export function scriptedAnswer(text) {
  return { pause: 4, finish: "stop", ...(ANSWERS.find(({ word }) => text.includes(word)) ?? DEFAULT) };
}

/** Cuts a text into what a tokenizer might: words with their space, punctuation, line ends. */
export function tokenize(text) {
  return text.match(/ ?[\p{L}\p{M}]+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s/gu) ?? [];
}

/** Probabilities that depend on place and text alone, so that every run shows the same colours. */
export function logprobsOf(token, index, alternatives) {
  let hash = 2166136261;
  for (const c of `${index}${token}`) hash = Math.imul(hash ^ c.codePointAt(0), 16777619) >>> 0;
  const draw = (hash % 1000) / 1000;
  const p = draw < 0.6 ? 0.97 + draw / 21 : draw < 0.85 ? 0.5 + draw / 3 : 1.01 - draw;
  const others = [" the", "\n", " so", "=", " Wait"].filter((other) => other !== token);
  const top = [[token, p]];
  let rest = 1 - p;
  for (const other of others) {
    top.push([other, rest * 0.6]);
    rest *= 0.4;
  }
  top.sort(([, a], [, b]) => b - a);
  const entry = ([text, share]) => ({
    token: text,
    logprob: Math.log(Math.max(share, 1e-9)),
    bytes: [...Buffer.from(text)],
  });
  return { ...entry([token, p]), top_logprobs: top.slice(0, alternatives).map(entry) };
}
