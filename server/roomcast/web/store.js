/**
 * Between the room and the screen: what the connection tells is folded at once and shown at most once a frame.
 *
 *     roomcast.js --events--> state.js --keys of what changed--> one frame later: signals --> components
 *
 * A token bumps the version of one answer; nothing else looks. While the page is hidden there are no frames, so a
 * slow timer stands in for them.
 */

import { batch, signal } from "./lib.js";
import { loadIdentity, loadToken, recentRooms, saveName } from "./identity.js";
import { Room } from "./roomcast.js";
import { apply, applyPresence, fromSnapshot, newRoom, prepend, runningAnswers, takeMembers } from "./state.js";

const HIDDEN_FRAME_MS = 400;
const TOAST_MS = 6_000;
const HISTORY_PAGE = 50;
const TYPING_REFRESH_MS = 3_000;
const TYPING_ENDS_MS = 5_000;

/** Everything that the page shows, and everything that it can do. */
export class Store {
  #room;
  #view;
  #versions = new Map();
  #changed = new Set();
  #frame = 0;
  #shown = 0;
  #typing = { toldAt: null, timer: 0 };
  #watchers = new Set();

  constructor(name) {
    this.name = name;
    this.recent = recentRooms(name);
    this.me = signal(loadIdentity());
    this.status = signal({ state: "connecting" });
    this.timeline = signal([]);
    this.you = signal(null);
    this.people = signal({ members: [], count: 0 });
    this.queue = signal([]);
    this.info = signal({ title: "", simulated: false, hasMore: false, loaded: false });
    this.running = signal([]);
    this.sending = signal([]);
    this.toasts = signal([]);
    this.notice = signal("");
    this.draft = signal("");
    this.#view = newRoom(name);
    this.#room = new Room({ room: name, member: this.me.value.id, name: this.me.value.name, token: loadToken() });
    this.#listen();
  }

  connect() {
    this.#room.connect();
  }

  /** Watch every frame: `watcher(view, changedKeys)`, after the signals; `reset` is among the keys of a fresh start. */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** What is behind a key of the timeline, as a fresh object; reading it makes the component follow it. */
  entry(key) {
    void this.#version(key).value;
    const found = this.peek(key);
    return found && { ...found };
  }

  /** What is behind a key, without following it. */
  peek(key) {
    const id = key.slice(2);
    return key[0] === "m" ? this.#view.messages.get(id) : this.#view.answers.get(id);
  }

  /** The name to show for somebody; "you" where it is. */
  nameOf = (by) => {
    if (!by) return "Somebody";
    if (by.id === this.you.value?.id) return "you";
    return by.id === "system" ? "the server" : by.name || "Somebody";
  };

  isMe(by) {
    return Boolean(by) && by.id === this.you.value?.id;
  }

  /** Whether this member may write here, and stop answers; until we are told, yes. */
  maySpeak() {
    return this.you.value?.role !== "viewer";
  }

  /** Whether this member may touch what another one added. */
  mayModerate() {
    return ["moderator", "owner"].includes(this.you.value?.role);
  }

  // ------------------------------------------------------------------------------------------------------- commands

  /** Say something. `asked`: the model shall answer. Gives back whether it was taken. */
  async say(text, asked) {
    const ghost = { id: Symbol("sending"), text };
    this.sending.value = [...this.sending.value, ghost];
    this.typing(false);
    try {
      await this.#room.say(text, asked ? {} : { respond: "never" });
      return true;
    } catch (error) {
      this.toast(error.message);
      return false;
    } finally {
      this.sending.value = this.sending.value.filter((each) => each !== ghost);
    }
  }

  /** Stop an answer, or take it out of the queue. */
  stop(responseId) {
    return this.#try(this.#room.cancel(responseId));
  }

  async loadEarlier() {
    const page = await this.#try(this.#room.history(this.#view.oldest?.id, HISTORY_PAGE));
    if (!page) return;
    prepend(this.#view, page.items, page.has_more);
    this.#touch(["timeline", "room"]);
  }

  /** Tell the others that somebody types here, not more often than needed. */
  typing(typing) {
    clearTimeout(this.#typing.timer);
    const now = performance.now();
    const toldAgo = now - (this.#typing.toldAt ?? -Infinity);
    if (typing) this.#typing.timer = setTimeout(() => this.typing(false), TYPING_ENDS_MS);
    if (typing ? toldAgo < TYPING_REFRESH_MS : toldAgo === Infinity) return;
    this.#typing.toldAt = typing ? now : null;
    this.#room.presence({ typing });
  }

  rename(name) {
    const me = saveName(this.me.value, name);
    if (me.name === this.me.value.name) return;
    this.me.value = me;
    this.#room.rename(me.name);
  }

  toast(text) {
    const toast = { id: Symbol("toast"), text };
    this.toasts.value = [...this.toasts.value.slice(-2), toast];
    setTimeout(() => (this.toasts.value = this.toasts.value.filter((each) => each !== toast)), TOAST_MS);
  }

  async #try(reply) {
    try {
      return await reply;
    } catch (error) {
      this.toast(error.message);
      return null;
    }
  }

  // ------------------------------------------------------------------------------------------------------ the stream

  #listen() {
    const room = this.#room;
    room.on("status", (status) => (this.status.value = status));
    room.on("reset", ({ snapshot }) => {
      this.#view = fromSnapshot(this.#view, snapshot);
      this.info.value = { ...this.info.value, loaded: true };
      this.#touch(["reset", "timeline", "queue", "room", ...this.#versions.keys()]);
    });
    room.on("event", (event) => this.#touch(apply(this.#view, event)));
    room.on("joined", (joined) => {
      takeMembers(this.#view, joined);
      this.notice.value = "";
      this.#touch(["people"]);
    });
    room.on("signal", (signal) => this.#onSignal(signal));
  }

  #onSignal(signal) {
    if (signal.type === "presence.updated") {
      applyPresence(this.#view, signal);
      this.#touch(["people"]);
    }
    if (signal.type === "room.degraded") this.notice.value = "The server cannot store anything right now. It keeps trying.";
    if (signal.type === "room.restored") this.notice.value = "";
    if (signal.type === "server.draining") this.notice.value = "The server is about to restart. This page comes back by itself.";
    if (signal.type === "error") this.toast(signal.error.message);
  }

  #version(key) {
    return this.#versions.get(key) ?? this.#versions.set(key, signal(0)).get(key);
  }

  #touch(keys) {
    for (const key of keys) this.#changed.add(key);
    if (this.#frame !== this.#shown || this.#changed.size === 0) return;
    this.#frame += 1;
    const frame = this.#frame;
    requestAnimationFrame(() => this.#show(frame));
    setTimeout(() => this.#show(frame), HIDDEN_FRAME_MS);
  }

  #show(frame) {
    if (this.#shown === frame) return;
    this.#shown = frame;
    const changed = this.#changed;
    const view = this.#view;
    this.#changed = new Set();
    batch(() => {
      for (const key of changed) if (key[1] === ":") this.#version(key).value += 1;
      if (changed.has("timeline")) this.timeline.value = view.timeline;
      if (changed.has("queue")) this.queue.value = view.queue;
      if (changed.has("people")) {
        this.people.value = { members: view.members, count: view.memberCount };
        this.you.value = view.you;
      }
      if (changed.has("room")) {
        this.running.value = runningAnswers(view).map((answer) => answer.id);
        const { title, simulated, hasMore } = view;
        this.info.value = { ...this.info.value, title, simulated, hasMore };
      }
    });
    for (const watcher of this.#watchers) watcher(view, changed);
  }
}
