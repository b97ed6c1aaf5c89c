/**
 * The conversation: a list that only grows at its ends, each entry following its own version.
 */

import { AnswerView } from "./answer.js";
import { Empty } from "./empty.js";
import { DownIcon } from "./icons.js";
import { html, signal, useEffect, useMemo, useRef } from "./lib.js";
import { GhostView, MessageView } from "./message.js";

/** After a pause as long as this, a person is introduced again. */
const PAUSE_MS = 5 * 60_000;
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** @param {{store: import("./store.js").Store, follow: import("./follow.js").Follow}} props */
export function Chat({ store, follow }) {
  const box = useRef(null);
  const content = useRef(null);
  useEffect(() => follow.attach(box.current, content.current), []);
  useEffect(() => store.watch((_, changed) => changed.has("timeline") && follow.mark()), []);
  return html`<main class="chat" ref=${box}>
    <div class="column" ref=${content}>
      <${Earlier} store=${store} follow=${follow} />
      <${Timeline} store=${store} />
      <${Sending} store=${store} />
    </div>
  </main>`;
}

function Timeline({ store }) {
  const keys = store.timeline.value;
  if (keys.length === 0 && store.sending.value.length === 0) return store.info.value.loaded ? html`<${Empty} store=${store} />` : null;
  let day = "";
  let above = null;
  const rows = [];
  for (const key of keys) {
    if (key[0] === "r") {
      rows.push(html`<${AnswerView} key=${key} store=${store} entryKey=${key} />`);
      above = null;
      continue;
    }
    const message = store.peek(key);
    const name = message.at ? DAY.format(message.at) : day;
    if (name !== day) rows.push(html`<p class="day" key=${`d:${name}`}><span>${name}</span></p>`);
    const goesOn = name === day && above !== null && above.by?.id === message.by?.id && message.at - above.at < PAUSE_MS;
    rows.push(html`<${MessageView} key=${key} store=${store} entryKey=${key} goesOn=${goesOn} />`);
    day = name;
    above = message;
  }
  // The page announces sentences by itself (announce.js); as a live region the log would read out every token.
  return html`<div class="timeline" role="log" aria-live="off" aria-label="Conversation">${rows}</div>`;
}

function Sending({ store }) {
  const waiting = store.status.value.state !== "live";
  return store.sending.value.map((ghost) => html`<${GhostView} me=${store.you.value ?? store.me.value} text=${ghost.text} waiting=${waiting} />`);
}

function Earlier({ store, follow }) {
  const busy = useMemo(() => signal(false), []);
  if (!store.info.value.hasMore) return null;
  const load = async () => {
    busy.value = true;
    await follow.hold(() => store.loadEarlier());
    busy.value = false;
  };
  return html`<p class="earlier"><button type="button" class="text-button" disabled=${busy.value} onClick=${load}>${busy.value ? "Loading …" : "Load earlier"}</button></p>`;
}

/** The way back to the end, for who has scrolled up. */
export function ToEnd({ follow }) {
  if (follow.atEnd.value) return null;
  return html`<button type="button" class=${follow.unseen.value ? "to-end fresh" : "to-end"} onClick=${() => follow.toEnd(true)}>
    <${DownIcon} />${follow.unseen.value ? "New messages" : html`<span class="unseen">To the newest</span>`}
  </button>`;
}
