"""A viewer made of the core's own pieces: a cursor, the log, merging and snapshots, no socket.

It keeps its transcript as a real one would go over the wire, for the auditor.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from roomcast.core.coalesce import merge_records
from roomcast.core.events import Cursor, JsonObject, Record, decode_event, encode
from roomcast.core.room_state import RoomState
from roomcast.core.snapshot import snapshot
from roomcast.core.tail import Tail
from roomcast.subscriber.desk import reset_reason
from tests.support.auditor import DISCONNECTED

__all__ = ["PureReader"]


class PureReader:
    """One viewer of one room.

    Attributes:
        transcript: What it sent and got.
        cursor: Up to where it has read.
    """

    def __init__(self, items: int = 50) -> None:
        self.transcript: list[JsonObject] = []
        self.cursor = Cursor("", 0)
        self._items = items
        self._commands = 0

    def join(self, state: RoomState, epoch: str, after: Cursor | None, floor: int = 0) -> None:
        """Join, and be answered as `state` and the log's floor allow: exactly from `after`, or with a snapshot."""
        self._commands += 1
        command: JsonObject = {"type": "room.join", "id": f"c{self._commands}", "room": state.name}
        if after is not None:
            command["after"] = after._asdict()
        result: JsonObject = {"epoch": epoch, "head": state.seq}
        why = reset_reason(after, Cursor(epoch, state.seq), floor)
        if after is not None and why is None:
            self.cursor = after
            result |= {"seq": after.seq, "resumed": True}
        else:
            self.cursor = Cursor(epoch, state.seq)
            result |= {"seq": state.seq, "resumed": False, "reset": why, "snapshot": self._snapshot(state)}
        reply: JsonObject = {"type": "reply", "id": command["id"], "ok": True, "result": result}
        self.transcript += [command, reply]

    def disconnect(self) -> None:
        """The connection is gone; the cursor stays."""
        self.transcript.append(DISCONNECTED)

    def read(self, log: Sequence[Record], limit_bytes: int, tail: Tail | None = None) -> None:
        """Get what follows the cursor, merged, up to about `limit_bytes`: from memory, or else from the log."""
        batch = tail.after(self.cursor.seq, limit_bytes) if tail else None
        if batch is None:
            batch = list(log[self.cursor.seq : self.cursor.seq + 10])
        self.transcript += [decode_event(record) for record in merge_records(batch, limit_bytes=limit_bytes)]
        self.cursor = Cursor(self.cursor.epoch, self.cursor.seq + len(batch))

    def read_all(self, log: Sequence[Record], tail: Tail | None = None) -> None:
        """Get everything that follows the cursor."""
        while (before := self.cursor.seq) < len(log):
            self.read(log, 10**9, tail)
            assert self.cursor.seq > before, "a reader that asks for more gets some"

    def reset(self, state: RoomState, reason: str = "lagging") -> None:
        """Begin anew: what follows the cursor is too much, or gone."""
        known_until, self.cursor = self.cursor.seq, Cursor(self.cursor.epoch, state.seq)
        reset: JsonObject = {"type": "room.reset", "room": state.name, "reason": reason, **self.cursor._asdict()}
        shown = self._snapshot(state, ended_after=known_until)
        self.transcript.append({**reset, "head": state.seq, "snapshot": shown})

    def told_head(self, state: RoomState) -> None:
        """Nothing happens for a while; only whoever is at the head is told where that is."""
        if self.cursor.seq == state.seq:
            self.transcript.append({"type": "room.head", "room": state.name, **self.cursor._asdict()})

    def _snapshot(self, state: RoomState, *, ended_after: int | None = None) -> JsonObject:
        found: JsonObject = orjson.loads(
            encode(snapshot(state, items=self._items, items_bytes=100_000, ended_after=ended_after))
        )
        return found
