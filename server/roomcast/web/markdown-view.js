/**
 * Blocks of Markdown as nodes. Safe by construction: every node is made here, by name, from an allow-list, and text
 * is only ever set as text. There is no HTML string, so there is nothing to sanitise and nothing to bypass.
 *
 *   - raw HTML in the text is shown as the text that it is (a plain `<br>` breaks the line)
 *   - links lead to http, https and mailto only, in a new tab, telling nobody where from
 *   - images become links: nothing is loaded from elsewhere, so a picture cannot be a beacon
 */

import { copyText } from "./clipboard.js";
import { ink } from "./ink.js";
import { html, memo, signal, useMemo } from "./lib.js";
import { GrowingMarkdown } from "./markdown.js";

const CLOSED_FENCE = /\n {0,3}(`{3,}|~{3,})\s*$/;
const SAFE_PROTOCOLS = new Set(["http:", "https:", "mailto:"]);

const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", hellip: "…",
  mdash: "—", ndash: "–", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", laquo: "«", raquo: "»", bull: "•", middot: "·",
  times: "×", divide: "÷", plusmn: "±", deg: "°", micro: "µ", euro: "€", pound: "£", sect: "§", para: "¶", larr: "←",
  uarr: "↑", rarr: "→", darr: "↓", harr: "↔", le: "≤", ge: "≥", ne: "≠", infin: "∞", shy: "\u00ad", ensp: "\u2002",
  emsp: "\u2003", thinsp: "\u2009", zwj: "\u200d", zwnj: "\u200c",
};

/**
 * A text in Markdown.
 *
 * @param {{text: string, done: boolean, breaks?: boolean}} props `done`: no more text will follow.
 */
export function Markdown({ text, done, breaks }) {
  const growing = useMemo(() => new GrowingMarkdown({ breaks }), []);
  const blocks = growing.update(text, done);
  return html`<div class=${done ? "md" : "md live"}>
    ${blocks.map((block, index) => html`<${Block} key=${index} token=${block.token} live=${block.live && !done} />`)}
  </div>`;
}

const Block = memo(({ token, live }) => blockView(token, live));

function blockView(token, live) {
  switch (token.type) {
    case "paragraph":
      return html`<p dir="auto">${inline(token.tokens)}</p>`;
    case "text":
      return token.tokens ? html`<${"span"}>${inline(token.tokens)}<//>` : plain(token);
    case "heading":
      // A chat has headings of its own: those of a message start below them.
      return html`<${`h${Math.min(token.depth + 2, 6)}`} class=${`h${token.depth}`} dir="auto">${inline(token.tokens)}<//>`;
    case "code":
      return html`<${Code} text=${token.text} lang=${token.lang ?? ""} live=${live && !CLOSED_FENCE.test(token.raw)} />`;
    case "list":
      return listView(token, live);
    case "blockquote":
      return html`<blockquote dir="auto">${token.tokens.map((each) => blockView(each, live))}</blockquote>`;
    case "table":
      return tableView(token);
    case "hr":
      return html`<hr />`;
    case "space":
    case "def":
    case "checkbox":
      return null;
    default:
      return html`<p class="raw" dir="auto">${token.raw.trimEnd()}</p>`;
  }
}

function listView(token, live) {
  const items = token.items.map((item, index) => html`<${Item} key=${index} item=${item} raw=${item.raw} loose=${item.loose} live=${live} />`);
  if (!token.ordered) return html`<ul dir="auto">${items}</ul>`;
  return html`<ol dir="auto" start=${token.start === 1 ? undefined : token.start}>${items}</ol>`;
}

/** A long list that grows at its end renders its last item only: the others have the same `raw`. */
const Item = memo(
  ({ item, live }) => html`<li class=${item.task ? "task" : undefined} dir="auto">
    ${item.task && html`<input type="checkbox" checked=${Boolean(item.checked)} disabled aria-label=${item.checked ? "done" : "open"} />`}
    ${item.tokens.map((token) => blockView(token, live))}
  </li>`,
  ["raw", "loose", "live"],
);

function tableView({ header, rows }) {
  const cell = (each, tag) => html`<${tag} class=${each.align ?? undefined} dir="auto">${inline(each.tokens)}<//>`;
  return html`<div class="scroll" role="region" aria-label="Table" tabindex="0">
    <table>
      <thead><tr>${header.map((each) => cell(each, "th"))}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((each) => cell(each, "td"))}</tr>`)}</tbody>
    </table>
  </div>`;
}

const Code = memo(({ text, lang, live }) => {
  const copied = useMemo(() => signal(false), []);
  const copy = async () => {
    copied.value = await copyText(text);
    setTimeout(() => (copied.value = false), 1_500);
  };
  const name = lang.split(/\s/)[0];
  return html`<figure class="code">
    <figcaption>
      <span>${name || "text"}</span>
      <${CopyButton} copied=${copied} copy=${copy} />
    </figcaption>
    <pre dir="ltr" tabindex="0"><code>${live ? text : ink(text, name)}</code></pre>
  </figure>`;
});

function CopyButton({ copied, copy }) {
  return html`<button type="button" class="copy" onClick=${copy}>${copied.value ? "Copied" : "Copy"}</button>`;
}

function inline(tokens = []) {
  return tokens.map((token) => {
    switch (token.type) {
      case "text":
        return token.tokens ? inline(token.tokens) : plain(token);
      case "escape":
        return token.text;
      case "strong":
        return html`<strong>${inline(token.tokens)}</strong>`;
      case "em":
        return html`<em>${inline(token.tokens)}</em>`;
      case "del":
        return html`<del>${inline(token.tokens)}</del>`;
      case "codespan":
        return html`<code>${token.text}</code>`;
      case "br":
        return html`<br />`;
      case "link":
        return linkView(token.autolink ? token.href : decode(token.href), inline(token.tokens), token.raw);
      case "image":
        return linkView(decode(token.href), [html`<span class="picture">picture</span>`, token.text || "no description"], token.raw);
      case "checkbox":
        return null;
      default:
        return /^<br\s*\/?>$/i.test(token.raw) ? html`<br />` : token.raw;
    }
  });
}

/** A link, where it leads to a place that we let people go; else its source, as text. */
function linkView(href, label, raw) {
  const url = safeUrl(href);
  if (!url) return raw;
  return html`<a href=${url} title=${url} target="_blank" rel="noopener noreferrer nofollow">${label}</a>`;
}

/** The address, if it is absolute and of a protocol that is safe to follow; else null. */
export function safeUrl(href) {
  try {
    const url = new URL(href);
    return SAFE_PROTOCOLS.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function plain(token) {
  return token.escaped ? token.text : decode(token.text);
}

/** Character references of prose (`&amp;`, `&#8364;`), which the lexer leaves to an HTML parser that we do not have. */
export function decode(text) {
  if (!text.includes("&")) return text;
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,8});/gi, (whole, name) => {
    if (name[0] !== "#") return ENTITIES[name] ?? whole;
    const code = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
  });
}
