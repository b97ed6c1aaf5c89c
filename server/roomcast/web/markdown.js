/**
 * Markdown that grows: text in, blocks out, without reading again what cannot change any more.
 *
 *     text so far:  [ frozen blocks | the last two blocks ] <- new text
 *                     never lexed     lexed on every update
 *                     again
 *
 * Invariants
 *   M1  The cost of an update is that of the last two blocks, not of the whole text.
 *   M2  A frozen block keeps its token object, so that a view can skip it by identity.
 *   M3  Once `done`, the blocks are those of the whole text lexed at once: every reader ends with the same.
 *
 * marked only cuts the text into tokens here. Its HTML is not used: the view (markdown-view.js) makes nodes from
 * tokens, so that no text of a model or a person ever meets an HTML parser.
 */

import { Lexer } from "./vendor/marked.js";

/** When lexing takes a larger part of the time than this, it is done less often. */
const LEXING_SHARE = 0.15;

/**
 * @typedef {object} Block
 * @property {object} token marked's token.
 * @property {boolean} live Whether it may still change.
 */

/** One growing text. */
export class GrowingMarkdown {
  #source = "";
  #tail = 0;
  #frozen = [];
  #blocks = [];
  #links = {};
  #finished = false;
  #notBefore = 0;
  #breaks;

  /** @param {{breaks?: boolean}} [options] `breaks`: a single newline breaks the line, as people mean it in a chat. */
  constructor({ breaks = false } = {}) {
    this.#breaks = breaks;
  }

  /**
   * Give the blocks of `text`. Call at most once a frame.
   *
   * @param {string} text The whole text so far.
   * @param {boolean} done Whether no more will follow.
   * @returns {Block[]} The same array when nothing changed, or when it is too early to lex again.
   */
  update(text, done) {
    const source = text.replaceAll("\r", "");
    if (source === this.#source && done === this.#finished) return this.#blocks;
    const started = performance.now();
    if (!done && started < this.#notBefore) return this.#blocks;
    if (!source.startsWith(this.#source)) this.#restart();
    this.#source = source;
    this.#finished = done;
    this.#blocks = done ? this.#lexWhole() : this.#lexTail();
    const cost = performance.now() - started;
    this.#notBefore = performance.now() + cost / LEXING_SHARE - cost;
    return this.#blocks;
  }

  #restart() {
    this.#tail = 0;
    this.#frozen = [];
    this.#links = {};
  }

  #lexWhole() {
    const known = new Map(this.#blocks.map((block, index) => [index, block]));
    const { tokens, links } = this.#lex(this.#source, {});
    const linked = Object.keys(links).length > 0;
    return tokens.filter(isVisible).map((token, index) => {
      const old = known.get(index);
      return !linked && old && !old.live && old.token.raw === token.raw ? old : { token, live: false };
    });
  }

  #lexTail() {
    const source = this.#source.slice(this.#tail);
    const mended = mend(source);
    const { tokens, links } = this.#lex(mended, this.#links);
    this.#links = links;
    const keep = firstLive(tokens);
    const settled = tokens.slice(0, keep);
    const length = settled.reduce((sum, token) => sum + token.raw.length, 0);
    // Only what stands in the text word for word may be frozen; else it is simply lexed again.
    if (keep > 0 && source.startsWith(settled.map((token) => token.raw).join(""))) {
      this.#tail += length;
      this.#frozen.push(...settled.filter(isVisible).map((token) => ({ token, live: false })));
      return [...this.#frozen, ...tokens.slice(keep).filter(isVisible).map((token) => ({ token, live: true }))];
    }
    return [...this.#frozen, ...tokens.filter(isVisible).map((token) => ({ token, live: true }))];
  }

  #lex(source, links) {
    const lexer = new Lexer({ gfm: true, breaks: this.#breaks });
    Object.assign(lexer.tokens.links, links);
    const tokens = lexer.lex(source);
    return { tokens, links: tokens.links };
  }
}

/** Index of the last block but one: what comes later may still change it (a list may go on, a line become a heading). */
function firstLive(tokens) {
  let blocks = 0;
  for (let index = tokens.length - 1; index >= 0; index -= 1) {
    if (tokens[index].type === "space") continue;
    blocks += 1;
    if (blocks === 2) return index;
  }
  return 0;
}

function isVisible(token) {
  return token.type !== "space" && token.type !== "def";
}

/**
 * Close what the end of a growing text has only opened, so that half a construct does not flash as its raw signs:
 * `**bo` becomes bold, half a link its label, half a table row waits for its end.
 */
export function mend(source) {
  if ((source.match(/^ {0,3}(```|~~~)/gm)?.length ?? 0) % 2) return source;
  const start = source.lastIndexOf("\n\n") + 1;
  let last = source.slice(start);
  if (/^\n?\|[^\n]*(\n[|\s:-]*)?$/.test(last)) return source.slice(0, start);
  last = last.replace(/\n[-=]+$/, "\n").replace(/!?\[([^\]\n]*)(\]\([^)\n]*|\])?$/, "$1").replace(/(\*\*|__|~~|`|\*)$/, "");
  if ((last.match(/`/g)?.length ?? 0) % 2) return `${source.slice(0, start)}${last}\``;
  const prose = last.replace(/`[^`]*`/g, "");
  for (const sign of ["**", "~~"]) {
    if ((prose.split(sign).length - 1) % 2) last = last.replace(/\s+$/, "") + sign;
  }
  return source.slice(0, start) + last;
}
