/**
 * Who is here.
 */

import { Avatar, Name } from "./avatar.js";
import { html } from "./lib.js";
import { MAX_NAME } from "./identity.js";

const FACES = 4;

/** The first few faces, and how many there are. */
export function Faces({ store }) {
  const { members, count } = store.people.value;
  return html`<span class="faces">${members.slice(0, FACES).map((member) => html`<${Avatar} key=${member.id} by=${member} small />`)}</span>
    <span class="count">${count}</span>`;
}

/** Everybody, oneself first, and a field for one's own name where the server leaves names to people. */
export function People({ store }) {
  const { members, count } = store.people.value;
  const me = store.you.value?.id;
  const sorted = [...members].sort((one, other) => (other.id === me) - (one.id === me) || one.name.localeCompare(other.name));
  const hidden = count - sorted.length;
  return html`<section class="people" aria-label="People">
    <h2>Here now <span class="count">${count}</span></h2>
    <ul>
      ${sorted.map((member) => html`<li key=${member.id}>
        <${Avatar} by=${member} small /><${Name} by=${member} />${member.id === me && html`<span class="you">you</span>`}
        ${member.state?.typing && member.id !== me && html`<span class="dots" aria-label="is typing"><i /><i /><i /></span>`}
      </li>`)}
    </ul>
    ${hidden > 0 && html`<p class="quiet">and ${hidden} more</p>`}
    ${me === store.me.value.id && html`<${NameField} store=${store} />`}
  </section>`;
}

function NameField({ store }) {
  const save = (event) => {
    event.preventDefault();
    store.rename(new FormData(event.target).get("name"));
  };
  return html`<form class="name-field" onSubmit=${save}>
    <label>Your name <span class="row"><input name="name" dir="auto" maxlength=${MAX_NAME} defaultValue=${store.me.value.name} autocomplete="nickname" required />
    <button type="submit" class="text-button">Save</button></span></label>
  </form>`;
}
