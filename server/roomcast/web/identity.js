/**
 * Who sits at this browser: an id that stays, and a name that can be changed. Kept in local storage;
 * where that is closed, both last as long as the page.
 */

import { randomId } from "./roomcast.js";

const KEY = "roomcast.me";
const ROOMS_KEY = "roomcast.rooms";
const TOKEN_KEY = "roomcast.token";
const MEMBER_ID = /^[A-Za-z0-9][A-Za-z0-9_.@:~-]{0,63}$/;
const RECENT = 6;
export const MAX_NAME = 40;

const MOODS = ["Quiet", "Amber", "Gentle", "Bright", "Curious", "Misty", "Patient", "Silver", "Warm", "Clever", "Mellow", "Swift"];
const ANIMALS = ["Heron", "Otter", "Lynx", "Finch", "Badger", "Marten", "Plover", "Hare", "Wren", "Seal", "Fox", "Owl"];

/** @returns {{id: string, name: string}} */
export function loadIdentity() {
  const stored = recall(KEY);
  // A server refuses an id that cannot be one before a page can read why, so a broken one must not be kept.
  if (MEMBER_ID.test(stored?.id) && stored?.name) return stored;
  const me = { id: randomId("m"), name: `${pick(MOODS)} ${pick(ANIMALS)}` };
  keep(KEY, me);
  return me;
}

/** Keep the same id under another name. */
export function saveName(me, name) {
  const renamed = { ...me, name: name.trim().slice(0, MAX_NAME) || me.name };
  keep(KEY, renamed);
  return renamed;
}

/** Rooms that were visited lately, newest first; `visited` becomes the first of them. */
export function recentRooms(visited) {
  const rooms = [visited, ...(recall(ROOMS_KEY) ?? []).filter((room) => room !== visited)].slice(0, RECENT);
  keep(ROOMS_KEY, rooms);
  return rooms;
}

/** The token for a server that asks for one; kept while the window is open, and not longer. */
export function loadToken() {
  return recall(TOKEN_KEY, "sessionStorage") ?? undefined;
}

export function saveToken(token) {
  keep(TOKEN_KEY, token, "sessionStorage");
}

function pick(list) {
  return list[crypto.getRandomValues(new Uint8Array(1))[0] % list.length];
}

function recall(key, storage = "localStorage") {
  try {
    return JSON.parse(globalThis[storage].getItem(key));
  } catch {
    return null;
  }
}

function keep(key, value, storage = "localStorage") {
  try {
    globalThis[storage].setItem(key, JSON.stringify(value));
  } catch {
    // Storage is closed to us; the page works without.
  }
}
