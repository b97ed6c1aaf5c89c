/**
 * What a screen reader hears: whole sentences of the running answer, and how answers end. Never tokens.
 */

import { answerText, isOpen } from "./answer-state.js";
import { ending, withoutMarks } from "./words.js";

const PACE_MS = 1_500;
const KEPT = 6;
/** Everything up to the end of the last whole sentence or line. */
const SENTENCES = /^[\s\S]*(?:[.!?…。！？؟]["'”’)\]]*(?=\s)|\n)/;

/**
 * Announce what happens in `store` inside `region`, a polite live region.
 *
 * @param {import("./store.js").Store} store
 * @param {HTMLElement} region
 */
export function announce(store, region) {
  const told = new Map();
  const waiting = [];
  let timer = 0;

  const speak = () => {
    timer = 0;
    const line = document.createElement("p");
    line.textContent = waiting.splice(0).join(" ");
    region.append(line);
    while (region.childElementCount > KEPT) region.firstElementChild.remove();
  };
  const say = (text) => {
    if (!text.trim()) return;
    waiting.push(text.trim());
    timer ||= setTimeout(speak, PACE_MS);
  };

  /** What is there before we listen is read in the log, not announced. */
  const begin = (view) => {
    told.clear();
    for (const id of view.messages.keys()) told.set(`m:${id}`, true);
    for (const answer of view.answers.values()) {
      told.set(`r:${answer.id}`, { upTo: answerText(answer).length, ended: !isOpen(answer) });
    }
  };

  const hearMessage = (key) => {
    const message = store.peek(key);
    if (!message || told.has(key)) return;
    told.set(key, true);
    if (!store.isMe(message.by)) say(`${store.nameOf(message.by)}: ${withoutMarks(message.text)}`);
  };

  const hearAnswer = (key) => {
    const answer = store.peek(key);
    if (!answer) return;
    const state = told.get(key) ?? told.set(key, { upTo: 0, ended: false }).get(key);
    if (state.ended) return;
    const rest = answerText(answer).slice(state.upTo);
    const whole = isOpen(answer) ? (SENTENCES.exec(rest)?.[0] ?? "") : rest;
    state.upTo += whole.length;
    say(withoutMarks(whole));
    if (isOpen(answer)) return;
    state.ended = true;
    say(ending(answer, store.nameOf) || "End of the answer.");
  };

  return store.watch((view, changed) => {
    if (changed.has("reset")) begin(view);
    for (const key of changed) {
      if (key.startsWith("m:")) hearMessage(key);
      if (key.startsWith("r:")) hearAnswer(key);
    }
  });
}
