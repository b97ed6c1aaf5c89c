/**
 * A face for an identity: the same colours and letters for the same id, wherever and whenever it is seen.
 */

import { html } from "./lib.js";

const graphemes = "Segmenter" in Intl ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;

/**
 * Two hues (0-359) from an id: FNV-1a, stirred, so that neighbours in spelling are not neighbours in colour. The second
 * keeps faces apart whose first hues happen to be close.
 */
export function huesOf(id) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  const hue = (hash >>> 8) % 360;
  return { "--hue": hue, "--hue-2": (hue + 20 + ((hash >>> 3) % 5) * 40) % 360 };
}

/** One or two letters for a name. */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const picked = words.length > 1 ? [words[0], words.at(-1)] : words;
  return picked.map(firstGrapheme).join("").toLocaleUpperCase() || "·";
}

function firstGrapheme(word) {
  return graphemes ? graphemes.segment(word)[Symbol.iterator]().next().value.segment : [...word][0];
}

/** @param {{by: {id: string, name?: string} | null, small?: boolean}} props */
export function Avatar({ by, small }) {
  return html`<span class=${small ? "avatar small" : "avatar"} style=${huesOf(by?.id ?? "")} aria-hidden="true">${initials(by?.name ?? "")}</span>`;
}

/** A name in its colour, kept apart from the direction of the text around it. */
export function Name({ by, name }) {
  return html`<bdi class="name" style=${huesOf(by?.id ?? "")}>${name ?? by?.name ?? "Somebody"}</bdi>`;
}
