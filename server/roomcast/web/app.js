/**
 * The page: one room, shown. This file puts the parts together and holds nothing else.
 *
 *     roomcast.js (connection) -> state.js (what it adds up to) -> store.js (signals, once a frame) -> the parts below
 */

import { announce } from "./announce.js";
import { Banner } from "./banner.js";
import { Chat, ToEnd } from "./chat.js";
import { Composer, Typing } from "./composer.js";
import { Follow } from "./follow.js";
import { Gate } from "./gate.js";
import { Header } from "./header.js";
import { effect, html, render } from "./lib.js";
import { People } from "./people.js";
import { Queue } from "./queue.js";
import { Store } from "./store.js";

function App({ store, follow }) {
  return html`<div class="frame">
    <${Header} store=${store} />
    <${Banner} store=${store} />
    <div class="middle">
      <div class="stage">
        <${Chat} store=${store} follow=${follow} />
        <div class="dock">
          <${ToEnd} follow=${follow} />
          <${Typing} store=${store} />
          <${Queue} store=${store} />
          <${Composer} store=${store} follow=${follow} />
        </div>
      </div>
      <aside class="rail"><${People} store=${store} /></aside>
    </div>
    <${Toasts} store=${store} />
    <${Gate} store=${store} />
  </div>`;
}

function Toasts({ store }) {
  return html`<div class="toasts" role="status">${store.toasts.value.map((toast) => html`<p key=${toast.id} class="toast">${toast.text}</p>`)}</div>`;
}

/** `/r/{room}` is that room; `/` is the lobby. */
function roomOfPath(path) {
  const match = /^\/r\/([^/]+)\/?$/.exec(path);
  return match ? decodeURIComponent(match[1]) : "lobby";
}

/** The title tells what happened while nobody looked. */
function entitle(store) {
  let missed = 0;
  const show = () => (document.title = `${missed ? `(${missed}) ` : ""}${store.info.value.title || store.name} · roomcast`);
  effect(show);
  store.watch((_, changed) => {
    if (!document.hidden || changed.has("reset")) return;
    missed += [...changed].filter((key) => key.startsWith("m:")).length;
    show();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) missed = 0;
    show();
  });
}

const store = new Store(roomOfPath(location.pathname));
render(html`<${App} store=${store} follow=${new Follow()} />`, document.getElementById("app"));
announce(store, document.getElementById("announcer"));
entitle(store);
store.connect();
