/**
 * Who waits for the model: the questions in line, in the order in which they will be answered.
 */

import { mayRemove } from "./answer.js";
import { Avatar, Name } from "./avatar.js";
import { CloseIcon } from "./icons.js";
import { html } from "./lib.js";
import { placeInLine, withoutMarks } from "./words.js";

const SHOWN = 3;

/** @param {{store: import("./store.js").Store}} props */
export function Queue({ store }) {
  const queue = store.queue.value;
  if (queue.length === 0) return null;
  const more = queue.length - SHOWN;
  return html`<section class="queue" aria-label="In line">
    <h2>In line <span class="count">${queue.length}</span></h2>
    <ol>${queue.slice(0, SHOWN).map((entry, index) => html`<${Entry} key=${entry.response_id} store=${store} entry=${entry} place=${index + 1} />`)}</ol>
    ${more > 0 && html`<p class="quiet">and ${more} more</p>`}
  </section>`;
}

function Entry({ store, entry, place }) {
  const question = withoutMarks(store.peek(`m:${entry.item_id}`)?.text ?? "");
  return html`<li>
    <span class="place" aria-label=${placeInLine(place)}>${place}</span>
    <${Avatar} by=${entry.by} small />
    <${Name} by=${entry.by} name=${store.isMe(entry.by) ? "you" : entry.by?.name} />
    <span class="question" dir="auto">${question}</span>
    ${mayRemove(store, entry.by) &&
    html`<button type="button" class="icon-button" title="Cancel" aria-label=${`Cancel the question of ${store.nameOf(entry.by)}`} onClick=${() => store.stop(entry.response_id)}><${CloseIcon} /></button>`}
  </li>`;
}
