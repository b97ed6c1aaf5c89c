/** A room in which nothing has been said yet. */

import { Mark } from "./icons.js";
import { html } from "./lib.js";

const IDEAS = [
  ["What is this?", "What is roomcast, and what is it good for?"],
  ["Compare", "Compare polling, Server-Sent Events and WebSockets in a small table."],
  ["Write code", "Write a Python generator that yields the lines of a growing file."],
  ["Say hello", "Say hello in Arabic, Japanese and Portuguese, each with an emoji."],
];

/** @param {{store: import("./store.js").Store}} props */
export function Empty({ store }) {
  return html`<section class="empty">
    <${Mark} />
    <h2>It is quiet in here</h2>
    <p>Whatever is asked in this room is answered once, and everybody in it watches the answer arrive.</p>
    <ul>
      ${IDEAS.map(([title, idea]) => html`<li><button type="button" onClick=${() => store.say(idea, true)}><strong>${title}</strong><span>${idea}</span></button></li>`)}
    </ul>
  </section>`;
}
