/**
 * The top of the page: which room, how the connection is, who is here, and the way to other rooms.
 */

import { StatusPill } from "./banner.js";
import { copyText } from "./clipboard.js";
import { ChevronIcon, LinkIcon, Mark, MoonIcon, SunIcon } from "./icons.js";
import { loadToken } from "./identity.js";
import { html, signal, useMemo } from "./lib.js";
import { Faces, People } from "./people.js";

const ROOM_NAME = "[A-Za-z0-9][A-Za-z0-9._~\\-]{0,127}";

/** @param {{store: import("./store.js").Store}} props */
export function Header({ store }) {
  const { title, simulated } = store.info.value;
  const busy = store.running.value.length > 0;
  return html`<header class="bar">
    <h1 class="unseen">${title || store.name}</h1>
    <button type="button" class="room" popovertarget="rooms" title="Change the room">
      <span class=${busy ? "brand busy" : "brand"}><${Mark} /></span>
      <bdi class="room-name">${title || store.name}</bdi><${ChevronIcon} />
    </button>
    <${StatusPill} store=${store} />
    ${simulated && html`<span class="badge" title="No model is connected: a built-in demo answers.">simulated</span>`}
    <span class="gap" />
    <button type="button" class="who" popovertarget="people" aria-label=${`${store.people.value.count} here now`}><${Faces} store=${store} /></button>
    <button type="button" class="icon-button share" title="Copy the link to this room" aria-label="Copy the link to this room" onClick=${() => share(store)}><${LinkIcon} /></button>
    <${ThemeButton} />
    <div id="rooms" class="sheet left" popover="auto" onToggle=${(event) => event.newState === "open" && loadRooms(store)}><${Rooms} store=${store} /></div>
    <div id="people" class="sheet right" popover="auto"><${People} store=${store} /></div>
  </header>`;
}

async function share(store) {
  const link = `${location.origin}/r/${store.name}`;
  store.toast((await copyText(link)) ? "Copied the link to this room." : link);
}

function ThemeButton() {
  const dark = useMemo(() => signal(globalThis.roomcastTheme.dark()), []);
  const toggle = () => {
    globalThis.roomcastTheme.toggle();
    dark.value = globalThis.roomcastTheme.dark();
  };
  const label = dark.value ? "Light" : "Dark";
  return html`<button type="button" class="icon-button" title=${label} aria-label=${`${label} colours`} onClick=${toggle}>${dark.value ? html`<${SunIcon} />` : html`<${MoonIcon} />`}</button>`;
}

const rooms = signal([]);

/** What the server tells of its rooms; where it does not, the rooms visited lately stay. */
async function loadRooms(store) {
  const known = store.recent.map((name) => ({ name }));
  rooms.value = known;
  try {
    const token = loadToken();
    const answer = await fetch("/v1/rooms", { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (!answer.ok) return;
    const listed = (await answer.json()).rooms;
    const names = new Set(listed.map((room) => room.name));
    rooms.value = [...listed, ...known.filter((room) => !names.has(room.name))];
  } catch {
    // Without the list one can still type a name.
  }
}

function Rooms({ store }) {
  const go = (event) => {
    event.preventDefault();
    location.assign(`/r/${encodeURIComponent(new FormData(event.target).get("room"))}`);
  };
  return html`<section aria-label="Rooms">
    <form class="name-field" onSubmit=${go}>
      <label>Go to a room <span class="row"><input name="room" pattern=${ROOM_NAME} title="Letters, digits and . _ ~ -" placeholder="name of a room" autocomplete="off" autocapitalize="off" spellcheck=${false} required />
      <button type="submit" class="text-button">Go</button></span></label>
    </form>
    <ul class="rooms">
      ${rooms.value.map((room) => html`<li key=${room.name}>
        <a href=${`/r/${encodeURIComponent(room.name)}`} aria-current=${room.name === store.name ? "page" : undefined}>
          <bdi>${room.title || room.name}</bdi>${room.running > 0 && html`<span class="live-dot" title="An answer is being written" />`}
          ${room.member_count > 0 && html`<span class="quiet">${room.member_count} here</span>`}
        </a>
      </li>`)}
    </ul>
    <button type="button" class="text-button" onClick=${() => share(store)}><${LinkIcon} />Copy the link to this room</button>
  </section>`;
}
