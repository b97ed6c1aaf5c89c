/**
 * What a person said.
 */

import { Avatar, Name } from "./avatar.js";
import { html } from "./lib.js";
import { Markdown } from "./markdown-view.js";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** The time of day, with the whole date for who points at it. */
export function Clock({ at }) {
  if (!at) return null;
  const date = new Date(at);
  return html`<time datetime=${date.toISOString()} title=${FULL.format(date)}>${CLOCK.format(date)}</time>`;
}

/**
 * @param {{store: import("./store.js").Store, entryKey: string, goesOn: boolean}} props `goesOn`: the same person has
 *   just said the message above.
 */
export function MessageView({ store, entryKey, goesOn }) {
  const message = store.entry(entryKey);
  if (!message) return null;
  const mine = store.isMe(message.by);
  const kind = `message${mine ? " mine" : ""}${goesOn ? " goes-on" : ""}`;
  return html`<article class=${kind} data-item=${message.id}>
    <${Avatar} by=${message.by} />
    <div class="said">
      <header><${Name} by=${message.by} />${mine && html`<span class="you">you</span>`}<${Clock} at=${message.at} /></header>
      ${message.removed
        ? html`<p class="removed">This message was removed.</p>`
        : html`<div class="bubble"><${Markdown} text=${message.text} done=${true} breaks=${true} /></div>`}
    </div>
  </article>`;
}

/** What this browser has sent and the server has not confirmed yet. */
export function GhostView({ me, text, waiting }) {
  return html`<article class="message mine ghost" aria-busy="true">
    <${Avatar} by=${me} />
    <div class="said">
      <header><${Name} by=${me} /><span class="you">${waiting ? "will be sent when the connection is back" : "sending …"}</span></header>
      <div class="bubble"><p class="plain" dir="auto">${text}</p></div>
    </div>
  </article>`;
}
