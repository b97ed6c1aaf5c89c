/**
 * A little colour for code: comments, strings, numbers and the words that most languages share. One expression for
 * all of them, on purpose: it is a reading aid, and a wrong guess costs nothing. Only finished blocks are inked.
 */

import { html } from "./lib.js";

const HASH_COMMENTS = new Set(["python", "py", "sh", "bash", "shell", "zsh", "console", "ruby", "rb", "yaml", "yml", "toml", "make", "makefile", "dockerfile", "r", "perl", "ini", "conf", "nginx", "elixir"]);
const DASH_COMMENTS = new Set(["sql", "lua", "haskell", "hs", "ada", "elm"]);
const PLAIN = new Set(["", "text", "txt", "plain", "plaintext", "markdown", "md", "diff", "log", "output"]);
const LONGEST = 20_000;

const KEYWORDS = new Set(
  `abstract alias and as assert async await begin boolean break case catch char class const continue create def default
  defer del delete do done double elif else elsif end enum except export extends false fi final finally float fn for
  foreach from func function global go goto group guard if impl implements import in include insert instanceof int
  interface into is join lambda let local long loop make map match mod module move mut namespace new nil none nonlocal
  not null object of on or order override package pass private protected protocol pub public raise readonly ref require
  return select self set short static string struct super switch then this throw throws trait true try type typedef
  typeof union unless unsigned until update use using values var void volatile where while with yield`.split(/\s+/),
);

/**
 * Give code as a list of texts and coloured spans.
 *
 * @param {string} text
 * @param {string} lang Name of the language, as the fence has it.
 */
export function ink(text, lang) {
  const name = lang.toLowerCase();
  if (PLAIN.has(name) || text.length > LONGEST) return text;
  const comment = HASH_COMMENTS.has(name) ? "#[^\\n]*" : DASH_COMMENTS.has(name) ? "--[^\\n]*" : "//[^\\n]*|/\\*[\\s\\S]*?\\*/|<!--[\\s\\S]*?-->";
  const signs = new RegExp(
    `(?<comment>${comment})|(?<string>"""[\\s\\S]*?"""|"(?:\\\\.|[^"\\\\\\n])*"|'(?:\\\\.|[^'\\\\\\n])*'|\`(?:\\\\.|[^\`\\\\])*\`)|(?<number>\\b\\d[\\w.]*\\b)|(?<word>[A-Za-z_]\\w*)(?<call>\\s*\\()?`,
    "g",
  );
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(signs)) {
    const [kind, length] = kindOf(match.groups);
    if (!kind) continue;
    parts.push(text.slice(from, match.index), html`<span class=${kind}>${text.slice(match.index, match.index + length)}</span>`);
    from = match.index + length;
  }
  parts.push(text.slice(from));
  return parts;
}

function kindOf({ comment, string, number, word, call }) {
  if (comment) return ["ink-comment", comment.length];
  if (string) return ["ink-string", string.length];
  if (number) return ["ink-number", number.length];
  if (KEYWORDS.has(word) || KEYWORDS.has(word.toLowerCase())) return ["ink-keyword", word.length];
  return call ? ["ink-call", word.length] : [null, 0];
}
