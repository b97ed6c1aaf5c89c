/**
 * How the connection is: a small word in the header while all is well, a line that explains itself when it is not.
 */

import { html, signal, useEffect, useMemo } from "./lib.js";

const WORDS = { connecting: "connecting", live: "live", replaying: "catching up", reconnecting: "reconnecting", closed: "closed" };
/** A pause shorter than this is not worth a banner. */
const PATIENCE_MS = 600;

/** @param {{store: import("./store.js").Store}} props */
export function StatusPill({ store }) {
  const { state } = store.status.value;
  return html`<span class=${`pill ${state}`} data-state=${state}><i aria-hidden="true" />${WORDS[state]}</span>`;
}

/** @param {{store: import("./store.js").Store}} props */
export function Banner({ store }) {
  const now = useMemo(() => signal(Date.now()), []);
  const since = useMemo(() => ({ state: "", at: 0 }), []);
  const status = store.status.value;
  if (status.state !== since.state) Object.assign(since, { state: status.state, at: Date.now() });
  useEffect(() => {
    if (status.state === "live") return undefined;
    now.value = Date.now();
    const timer = setInterval(() => (now.value = Date.now()), 250);
    return () => clearInterval(timer);
  }, [status.state]);
  const text = sentence(status, now.value - since.at, now.value) || store.notice.value;
  return html`<div class="banner-place" role="status">${text && html`<p class=${`banner ${status.state}`}>${text}</p>`}</div>`;
}

function sentence({ state, retryAt, reason }, age, now) {
  if (state === "closed") return reason ?? "This room is closed.";
  if (age < PATIENCE_MS) return "";
  if (state === "connecting") return "Connecting …";
  if (state === "replaying") return "Catching up on what happened meanwhile …";
  if (state !== "reconnecting") return "";
  const seconds = Math.ceil(((retryAt ?? 0) - now) / 1000);
  return seconds > 0 ? `Connection lost. Trying again in ${seconds} s.` : "Connection lost. Trying again …";
}
