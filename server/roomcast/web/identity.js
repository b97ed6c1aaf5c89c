/**
 * Who sits at this browser: an id that stays, and a name that can be changed. Kept in local storage;
 * where that is closed, both last as long as the page.
 */

import { randomId } from "./roomcast.js";

const KEY = "roomcast.me";
const ROOMS_KEY = "roomcast.rooms";
const RECENT = 6;
export const MAX_NAME = 40;

const MOODS = ["Quiet", "Amber", "Gentle", "Bright", "Curious", "Misty", "Patient", "Silver", "Warm", "Clever", "Mellow", "Swift"];
const ANIMALS = ["Heron", "Otter", "Lynx", "Finch", "Badger", "Marten", "Plover", "Hare", "Wren", "Seal", "Fox", "Owl"];

/** @returns {{id: string, name: string}} */
export function loadIdentity() {
  const stored = recall(KEY);
  if (stored?.id && stored?.name) return stored;
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

function pick(list) {
  return list[crypto.getRandomValues(new Uint8Array(1))[0] % list.length];
}

function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Storage is closed to us; the page works without.
  }
}
