/**
 * The door of a server that asks for a token: shown when it turned this page away, and only then.
 */

import { saveToken } from "./identity.js";
import { Mark } from "./icons.js";
import { html } from "./lib.js";

/** @param {{store: import("./store.js").Store}} props */
export function Gate({ store }) {
  if (store.status.value.code !== "unauthenticated") return null;
  const enter = (event) => {
    event.preventDefault();
    saveToken(new FormData(event.target).get("token").trim());
    location.reload();
  };
  return html`<form class="gate" onSubmit=${enter}>
    <${Mark} />
    <h1>This server asks who you are</h1>
    <label>Your token <input name="token" type="password" autocomplete="current-password" required /></label>
    <button type="submit" class="text-button">Enter</button>
  </form>`;
}
