/**
 * What a room adds up to for people: snapshot and events in, a timeline out. Pure: no DOM, no socket, no clock.
 *
 *     snapshot --fromSnapshot--> room --apply(event)--> the keys of what changed
 *
 * `timeline` is a flat list of keys: `m:<item id>` for what people said, each followed by `r:<response id>` for the
 * answers to it. So a question and its answers stay together, whatever order a busy room produced them in, and a
 * reload shows the same order as having been there. A question that was put in other words shows in its last ones.
 *
 * A room is mutable, and every change names its keys (`m:…`, `r:…`, `timeline`, `queue`, `room`, `people`), so that a
 * token re-renders one answer and nothing else.
 */

import { foldAnswer, isOpen, isRunning, newAnswer, takeItem, takeResponse } from "./answer-state.js";

/**
 * @typedef {object} Message Something that a person or a tool added.
 * @property {string} id
 * @property {number} seq
 * @property {string} role
 * @property {string} text
 * @property {{id: string, name: string} | null} by
 * @property {number | null} at
 * @property {boolean} removed
 */

/** An empty room. */
export function newRoom(name) {
  return {
    name, title: "", settings: {}, messages: new Map(), replaced: new Set(), answers: new Map(), timeline: [],
    queue: [], hasMore: false, members: [], memberCount: 0, you: null, simulated: false, oldest: null,
  };
}

/** The room that a snapshot describes; who is here is kept, since snapshots do not say. */
export function fromSnapshot(previous, snapshot) {
  const { members, memberCount, you } = previous;
  const room = { ...newRoom(previous.name), members, memberCount, you };
  room.title = snapshot.room?.title ?? "";
  room.settings = snapshot.room?.settings ?? {};
  room.hasMore = Boolean(snapshot.has_more);
  room.queue = snapshot.queue ?? [];
  for (const response of snapshot.responses ?? []) {
    const answer = answerOf(room, response.id);
    takeResponse(answer, response);
    answer.promptId = response.item_id ?? null;
    answer.at = response.created_at ? response.created_at * 1000 : null;
    answer.stopper = response.cancelling?.by ?? null;
  }
  for (const item of snapshot.items ?? []) takeStored(room, item);
  arrange(room);
  return room;
}

/**
 * Fold one event of the log.
 *
 * @returns {Set<string>} Keys of what changed; empty for a type that is not known.
 */
export function apply(room, event) {
  const changed = new Set();
  if (event.response_id !== undefined && event.type.startsWith("response.")) foldResponse(room, event, changed);
  else STEPS[event.type]?.(room, event, changed);
  if (changed.has("timeline")) arrange(room);
  return changed;
}

/** Put older items (newest first, as `history.list` gives them) before what is known. */
export function prepend(room, items, hasMore) {
  for (const item of [...items].reverse()) takeStored(room, item);
  room.hasMore = hasMore;
  arrange(room);
}

/** Who is here, from a join: the list as it is. */
export function takeMembers(room, { members, member_count: count, you }) {
  room.members = members ?? [];
  room.memberCount = count ?? room.members.length;
  room.you = you ?? room.you;
}

/** Fold `presence.updated`: either the whole list, or who came, went and changed. */
export function applyPresence(room, { members, joined = [], left = [], changed = [], count }) {
  if (members) room.members = members;
  else {
    const gone = new Set(left.map(idOf));
    const byId = new Map(room.members.filter((member) => !gone.has(member.id)).map((member) => [member.id, member]));
    for (const member of [...joined, ...changed]) byId.set(member.id, { ...byId.get(member.id), ...member });
    room.members = [...byId.values()];
  }
  room.memberCount = count ?? room.members.length;
}

/** The answers that the model is at work on, oldest first. */
export function runningAnswers(room) {
  return room.timeline.filter((key) => key.startsWith("r:"))
    .map((key) => room.answers.get(key.slice(2))).filter(isRunning);
}

/** The question that an answer belongs to, if it is known here. */
export function promptFor(room, answer) {
  return room.messages.get(answer.promptId) ?? null;
}

const STEPS = {
  "item.created": (room, { item }, changed) => {
    takeStored(room, item);
    changed.add("timeline").add(`m:${item.id}`);
  },
  "item.retracted": (room, { item_id: id }, changed) => {
    const message = room.messages.get(id);
    if (message) Object.assign(message, { text: "", removed: true });
    changed.add(`m:${id}`);
    for (const answer of room.answers.values()) {
      const output = answer.outputs.find((each) => each.id === id);
      if (!output) continue;
      takeItem(answer, { id, status: "retracted" }, output.index);
      changed.add(`r:${answer.id}`);
    }
  },
  "queue.updated": (room, { queue }, changed) => {
    room.queue = queue;
    for (const { response_id: id, item_id: promptId } of queue) linkPrompt(room, id, promptId, changed);
    for (const answer of room.answers.values()) if (answer.status === "queued") changed.add(`r:${answer.id}`);
    changed.add("queue");
  },
  "room.created": takeCard,
  "room.updated": takeCard,
};

function takeCard(room, event, changed) {
  room.title = event.title ?? room.title;
  room.settings = event.settings ?? room.settings;
  changed.add("room");
}

function foldResponse(room, event, changed) {
  const known = room.answers.has(event.response_id);
  const answer = answerOf(room, event.response_id);
  const before = answer.status;
  foldAnswer(answer, event);
  if (event.type === "response.created") linkPrompt(room, answer.id, event.response?.item_id, changed);
  if (answer.simulated && !room.simulated) {
    room.simulated = true;
    changed.add("room");
  }
  if (!known) changed.add("timeline");
  if (before !== answer.status) changed.add("room");
  changed.add(`r:${answer.id}`);
}

/** An item as a snapshot, the history or `item.created` gives it: what people said, or a part of an answer. */
function takeStored(room, item) {
  if (item.seq < (room.oldest?.seq ?? Infinity)) room.oldest = { id: item.id, seq: item.seq };
  if (item.role === "assistant" || (item.response_id && item.type !== "message")) return takeAnswered(room, item);
  if (item.type !== "message") return;
  if (item.replaces) room.replaced.add(item.replaces);
  room.messages.set(item.id, {
    id: item.id, seq: item.seq ?? Infinity, role: item.role, by: item.by ?? null, at: item.at ?? null,
    text: textOf(item.content), removed: item.status === "retracted", parentId: item.parent_id ?? null,
  });
}

/**
 * Part of an answer. Where its response is not listed (old history), the item above it tells the question, but only
 * where nobody else spoke in between: a wrong name is worse than none.
 */
function takeAnswered(room, item) {
  const known = room.answers.has(item.response_id ?? item.id);
  const answer = answerOf(room, item.response_id ?? item.id);
  if (!known) answer.status = item.status ?? "completed";
  if (!isOpen(answer) || answer.outputs.length === 0) takeItem(answer, item);
  answer.seq = Math.min(answer.seq, item.seq ?? Infinity);
  answer.at ??= item.at ?? null;
  const above = room.messages.get(item.parent_id);
  if (known || !above || room.messages.has(above.parentId)) return;
  answer.promptId = above.id;
  answer.by ??= above.by;
}

function linkPrompt(room, id, promptId, changed) {
  const answer = answerOf(room, id);
  if (!promptId || answer.promptId === promptId) return;
  answer.promptId = promptId;
  changed.add("timeline");
}

function answerOf(room, id) {
  return room.answers.get(id) ?? room.answers.set(id, newAnswer(id)).get(id);
}

/** Lay out the timeline: messages by seq, each followed by its answers; an answer without a known prompt by its own seq. */
function arrange(room) {
  const byPrompt = new Map();
  const loose = [];
  for (const answer of room.answers.values()) {
    if (!isOpen(answer) && answer.outputs.length === 0 && answer.promptId && !room.messages.has(answer.promptId)) continue;
    if (!room.messages.has(answer.promptId)) loose.push({ seq: answer.seq, keys: [`r:${answer.id}`] });
    else if (byPrompt.has(answer.promptId)) byPrompt.get(answer.promptId).push(answer);
    else byPrompt.set(answer.promptId, [answer]);
  }
  const shown = [...room.messages.values()].filter(({ id }) => !room.replaced.has(id));
  const blocks = shown.map(({ id, seq }) => {
    const answers = (byPrompt.get(id) ?? []).sort(bySeq);
    return { seq, keys: [`m:${id}`, ...answers.map((answer) => `r:${answer.id}`)] };
  });
  room.timeline = [...blocks, ...loose].sort(bySeq).flatMap((block) => block.keys);
  room.simulated ||= [...room.answers.values()].some((answer) => answer.simulated);
}

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? (part.type === "input_text" ? "" : `[${part.type}]`)).join("\n");
}

/** Order of the log; what has no seq yet stays last, in the order it came. */
function bySeq(one, other) {
  return one.seq === other.seq ? 0 : one.seq - other.seq;
}

function idOf(member) {
  return typeof member === "string" ? member : member.id;
}
