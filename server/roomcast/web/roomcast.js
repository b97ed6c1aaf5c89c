/**
 * roomcast.js: one room, live, in a browser (or wherever there is a WebSocket). No dependencies.
 *
 *     import { Room } from "/roomcast.js";
 *     const room = new Room({ room: "lobby", name: "Ada" });
 *     room.on("reset", ({ snapshot }) => show(snapshot));
 *     room.on("event", (event) => { if (event.type === "response.output_text.delta") add(event.delta); });
 *     room.connect();
 *     await room.say("Hello, everybody");
 *
 *     socket --frames--> reply | event | signal --> "reset", "event", "signal", "joined", "status"
 *
 * Invariants
 *   R1  Between two resets, listeners of "event" get each seq once, in order, without a hole.
 *   R2  A reset carries a snapshot that replaces everything known before it.
 *   R3  A command keeps its id until it is answered; after a reconnect it is sent again under that id.
 *   R4  A closed room sends nothing, and refuses every command that is still open.
 *
 * Not here: what events add up to (state.js has that for the page).
 */

const SUBPROTOCOL = "roomcast.v1";
const MAX_COMMAND_BYTES = 64 * 1024;
const OPENING_TIMEOUT_MS = 10_000;
/** The server shows its head at least every 15 s; after this much silence we ask whether it is there. */
const SILENCE_MS = 35_000;
const STABLE_AFTER_MS = 5_000;
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 20_000;

/** Close codes that mean more than "come back soon". */
const CLOSINGS = {
  1008: { wait: 10_000 },
  1013: { wait: 5_000 },
  4400: { final: "The server could not follow what this page said." },
  4401: { token: true },
  4403: { final: "You may not enter this room." },
  4429: { wait: 15_000 },
};

/** Commands that are safe to forget when the socket is lost: by then they are old news. */
const FLEETING = new Set(["presence.update", "session.ping"]);

/**
 * A command that was refused, or that can no longer be answered.
 */
export class RoomError extends Error {
  /** @param {{code: string, message: string, param?: string, retryable?: boolean, retry_after_ms?: number}} error */
  constructor(error) {
    super(error.message);
    this.name = "RoomError";
    this.code = error.code;
    this.param = error.param;
    this.retryable = Boolean(error.retryable);
    this.retryAfterMs = error.retry_after_ms;
  }
}

/**
 * How long to wait before attempt number `attempt` (from 0): full jitter, so that a crowd
 * that was cut off together does not come back together.
 */
export function backoffMs(attempt, random = Math.random) {
  return Math.round(random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 16)));
}

/** A fresh random id: `prefix_` and 26 characters (130 bits). */
export function randomId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(26));
  return `${prefix}_${Array.from(bytes, (byte) => "0123456789abcdefghjkmnpqrstvwxyz"[byte & 31]).join("")}`;
}

/**
 * @typedef {object} RoomOptions
 * @property {string} room Name of the room.
 * @property {string} [url] Address of the socket; default: `/v1/ws` of the page's own server.
 * @property {string} [member] Stable identity (with authentication off).
 * @property {string} [name] Name that others see (with authentication off).
 * @property {string | (() => Promise<string>)} [token] Bearer token; a function is asked again when one has expired.
 * @property {number} [items] How many items of history a snapshot should hold (server default: 50).
 * @property {string[]} [include] Optional kinds to receive; default: all.
 * @property {"coalesce" | "snapshot" | "disconnect"} [on_slow] What to do when this viewer falls behind.
 *
 * @typedef {object} RoomStatus
 * @property {"connecting" | "live" | "replaying" | "reconnecting" | "closed"} state
 * @property {number} [retryAt] When the next attempt starts, on the clock of `Date.now()`.
 * @property {string} [code] Why the room is closed: `closed`, `unauthenticated`, or that of a refused join.
 * @property {string} [reason] The same for people.
 */

/** One room over one WebSocket that comes back by itself. */
export class Room {
  #options;
  #listeners = new Map();
  #pending = new Map();
  #socket = null;
  #joinId = null;
  #joined = false;
  #attempt = 0;
  #rejoins = 0;
  #doubtedHead = 0;
  #replayUntil = 0;
  #drainMs = null;
  #refreshedToken = false;
  #timers = { retry: 0, opening: 0, silence: 0, stable: 0 };

  /** @param {RoomOptions} options */
  constructor(options) {
    this.#options = { ...options };
    this.room = options.room;
    /** Everything up to here has been given to listeners. @type {{epoch: string, seq: number} | null} */
    this.cursor = null;
    /** Who the server says we are. */
    this.you = null;
    /** @type {RoomStatus} */
    this.status = { state: "connecting" };
  }

  /**
   * Listen; returns the function that stops listening.
   *
   * `reset` `{reason, epoch, seq, head, snapshot}` (start from the snapshot) · `event` (the next of the log) ·
   * `joined` (the result of a join) · `signal` (presence, lag, drain: what is not stored) · `status` (`RoomStatus`)
   *
   * @param {"reset" | "event" | "joined" | "signal" | "status"} kind
   * @param {(value: any) => void} listener
   */
  on(kind, listener) {
    const listeners = this.#listeners.get(kind) ?? this.#listeners.set(kind, new Set()).get(kind);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Open the socket, and keep a socket open until `close`. */
  connect() {
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.document?.addEventListener("visibilitychange", this.#hurry);
    this.#open();
    return this;
  }

  /** Leave for good. */
  close() {
    this.#end({ code: "closed", message: "the room was closed" });
  }

  /** Take another name, on a fresh connection that resumes where this one stands. */
  rename(name) {
    this.#options.name = name;
    if (this.status.state === "closed") return;
    this.#drop();
    this.#open();
  }

  /**
   * Send a command and wait for its reply.
   *
   * @param {string} type For example `message.create`.
   * @param {object} [fields] Its fields, without `id` and `room`.
   * @returns {Promise<any>} The result; rejects with a `RoomError` when refused.
   */
  send(type, fields = {}) {
    const id = randomId("cmd");
    const scope = type.startsWith("session.") ? {} : { room: this.room };
    const frame = JSON.stringify({ type, id, ...scope, ...fields });
    return new Promise((resolve, reject) => {
      if (this.status.state === "closed") return reject(new RoomError({ code: "closed", message: "the room is closed" }));
      if (new TextEncoder().encode(frame).length > MAX_COMMAND_BYTES) {
        return reject(new RoomError({ code: "too_large", message: "that is more than fits in one message (64 KiB)" }));
      }
      if (FLEETING.has(type) && !this.#joined) return resolve(undefined);
      this.#pending.set(id, { frame, type, resolve, reject });
      if (this.#joined) this.#socket.send(frame);
    });
  }

  /** Say something; by the room's settings the model answers. `fields` as in `message.create`. */
  say(content, fields = {}) {
    return this.send("message.create", { content, ...fields });
  }

  /** Stop an answer: the given one, or the one that is running. */
  cancel(responseId) {
    return this.send("response.cancel", responseId ? { response_id: responseId } : {});
  }

  /** Older items, newest first, before item `before`. */
  history(before, limit = 50) {
    return this.send("history.list", before ? { before, limit } : { limit });
  }

  /** Tell the room a free object about yourself, for example `{typing: true}`. Never fails: it is only a hint. */
  presence(state) {
    return this.send("presence.update", { state }).catch(() => undefined);
  }

  #address() {
    const url = new URL(this.#options.url ?? "/v1/ws", globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.#options.member) url.searchParams.set("member", this.#options.member);
    if (this.#options.name) url.searchParams.set("name", this.#options.name);
    return url.href;
  }

  #open() {
    clearTimeout(this.#timers.retry);
    const socket = new WebSocket(this.#address(), [SUBPROTOCOL]);
    this.#socket = socket;
    if (this.status.state !== "connecting") this.#become({ state: "reconnecting" });
    this.#timers.opening = setTimeout(() => this.#lost(socket, 1006), OPENING_TIMEOUT_MS);
    socket.onopen = () => this.#greet(socket);
    socket.onmessage = ({ data }) => this.#hear(socket, data);
    socket.onclose = ({ code }) => this.#lost(socket, code);
  }

  async #greet(socket) {
    if (this.#options.token) {
      try {
        const token = typeof this.#options.token === "function" ? await this.#options.token() : this.#options.token;
        socket.send(JSON.stringify({ type: "session.authenticate", id: randomId("cmd"), token }));
      } catch {
        return this.#lost(socket, 1006);
      }
    }
    if (this.#socket === socket) this.#join();
  }

  #join() {
    const { items, include, on_slow } = this.#options;
    this.#joined = false;
    this.#joinId = randomId("join");
    clearTimeout(this.#timers.opening);
    this.#timers.opening = setTimeout(() => this.#lost(this.#socket, 1006), OPENING_TIMEOUT_MS);
    const command = { type: "room.join", id: this.#joinId, room: this.room, items, include, on_slow };
    if (this.cursor) command.after = this.cursor;
    this.#socket.send(JSON.stringify(command));
  }

  /** Detach the socket: nothing that it still does is heard. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#joined = false;
    for (const name of Object.keys(this.#timers)) clearTimeout(this.#timers[name]);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #lost(socket, code) {
    if (this.#socket !== socket) return;
    this.#drop();
    const closing = CLOSINGS[code] ?? {};
    if (closing.final) return this.#end({ code: "closed", message: closing.final });
    if (closing.token && (typeof this.#options.token !== "function" || this.#refreshedToken)) {
      return this.#end({ code: "unauthenticated", message: "This room asks for a token that is valid." });
    }
    this.#refreshedToken = Boolean(closing.token);
    for (const [id, { type, resolve }] of this.#pending) if (FLEETING.has(type) && this.#pending.delete(id)) resolve();
    const floor = this.#drainMs ?? closing.wait ?? 0;
    this.#drainMs = null;
    this.#retryIn(floor + backoffMs(this.#attempt++));
  }

  #retryIn(delayMs) {
    this.#become({ state: "reconnecting", retryAt: Date.now() + delayMs });
    this.#timers.retry = setTimeout(() => this.#open(), delayMs);
  }

  /** The network is back, or somebody looks at the page: do not sit out the wait. */
  #hurry = () => {
    if (this.#socket || this.status.state !== "reconnecting" || globalThis.document?.hidden) return;
    this.#open();
  };

  #end(error) {
    if (this.status.state === "closed") return;
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.document?.removeEventListener("visibilitychange", this.#hurry);
    this.#drop();
    this.#become({ state: "closed", code: error.code, reason: error.message });
    const refused = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of refused) reject(new RoomError(error));
  }

  #hear(socket, data) {
    this.#watchSilence(socket);
    const frame = JSON.parse(data);
    if (frame.type === "reply") return frame.id === this.#joinId ? this.#onJoin(frame) : this.#onReply(frame);
    if (frame.room !== undefined && (frame.room !== this.room || !this.#joined)) return;
    if (frame.type === "room.reset") this.#onReset(frame);
    else if (frame.type === "room.head") this.#onHead(frame);
    else if (typeof frame.seq === "number") this.#onEvent(frame);
    else this.#onSignal(frame);
  }

  /** A half-open connection looks alive for minutes; a question that stays without answer shows it. */
  #watchSilence(socket) {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => {
      if (!this.#joined) return;
      this.send("session.ping").catch(() => undefined);
      this.#timers.silence = setTimeout(() => this.#lost(socket, 1006), OPENING_TIMEOUT_MS);
    }, SILENCE_MS);
  }

  #onReply({ id, ok, result, error }) {
    const command = this.#pending.get(id);
    if (!command) return;
    this.#pending.delete(id);
    if (ok) command.resolve(result);
    else command.reject(new RoomError(error));
  }

  #onJoin({ ok, result, error }) {
    clearTimeout(this.#timers.opening);
    if (!ok && error.retryable) {
      this.#drop();
      return this.#retryIn((error.retry_after_ms ?? 1_000) + backoffMs(this.#attempt++));
    }
    if (!ok) return error.code === "unauthenticated" ? this.#lost(this.#socket, 4401) : this.#end(error);
    this.#joined = true;
    this.#refreshedToken = false;
    this.#timers.stable = setTimeout(() => (this.#attempt = 0), STABLE_AFTER_MS);
    this.you = result.you;
    if (result.resumed) this.#resumeAt(result);
    else this.#onReset({ ...result, reason: result.reset ?? "new" });
    this.#emit("joined", result);
    for (const { frame } of this.#pending.values()) this.#socket.send(frame);
  }

  #onReset(reset) {
    this.#resumeAt(reset);
    this.#emit("reset", reset);
  }

  #resumeAt({ epoch, seq, head }) {
    this.cursor = { epoch, seq };
    this.#replayUntil = head ?? seq;
    this.#showProgress();
  }

  #showProgress() {
    const state = this.cursor.seq < this.#replayUntil ? "replaying" : "live";
    if (this.status.state !== state) this.#become({ state });
  }

  #onEvent(event) {
    const { seq } = event;
    if (seq <= this.cursor.seq) return;
    if ((event.seq_from ?? seq) !== this.cursor.seq + 1) return this.#rejoin();
    this.cursor = { epoch: this.cursor.epoch, seq };
    this.#rejoins = 0;
    this.#emit("event", event);
    if (this.status.state === "replaying") this.#showProgress();
  }

  /**
   * The head tells of a lost tail. But it also covers events that this viewer is not shown, so
   * when asking again brought nothing, the same head is taken at its word.
   */
  #onHead({ epoch, seq }) {
    if (epoch !== this.cursor.epoch) return this.#rejoin();
    if (seq <= this.cursor.seq) return;
    if (!this.#options.include && this.#doubtedHead !== seq) {
      this.#doubtedHead = seq;
      return this.#rejoin();
    }
    this.cursor = { epoch, seq };
    this.#rejoins = 0;
    this.#showProgress();
  }

  #onSignal(signal) {
    if (signal.type === "server.draining") this.#drainMs = signal.retry_after_ms ?? 1_000;
    if (signal.type === "subscriber.lagging") this.#become({ state: "replaying" });
    if (signal.type === "subscriber.caught_up") this.#become({ state: "live" });
    this.#emit("signal", signal);
  }

  /** Coverage broke: ask for what follows the cursor; if that does not help, for a snapshot. */
  #rejoin() {
    this.#rejoins += 1;
    if (this.#rejoins > 2) this.cursor = null;
    if (this.#rejoins > 5) return this.#lost(this.#socket, 1006);
    this.#become({ state: "replaying" });
    this.#join();
  }

  #become(status) {
    this.status = status;
    this.#emit("status", status);
  }

  #emit(kind, value) {
    for (const listener of this.#listeners.get(kind) ?? []) listener(value);
  }
}
