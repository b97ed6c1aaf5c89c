"""One connection in one room: a cursor, and whether it is live.

    behind ──advance──► live        reading on from the cursor: memory first, then the store
    live ──leave_live──► behind     the socket is full; only the cursor is kept

Catching up and being live are one operation, reading from a position, so there is no seam
for a gap or a duplicate to come from: `advance` copies the in-memory tail up to the room's
position and enters the live set in the same step.

Invariants
    B1  Every event is written once, in order: the cursor moves with each write.
    B2  A merged event covers `seq_from..seq`; coverage is consecutive.
    B3  If the log cannot give what follows the cursor, the subscriber is told so by one
        `room.reset` with a snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from roomcast.core.coalesce import merge_records
from roomcast.core.errors import CloseCode, Disconnect, StorageDamaged, StorageError
from roomcast.core.events import Cursor, JsonObject, Record, encode
from roomcast.core.ladder import Ladder
from roomcast.core.ports import Expired
from roomcast.core.session import Member
from roomcast.core.wire import signal
from roomcast.subscriber.pump import Pump

if TYPE_CHECKING:
    from roomcast.subscriber.fanout import Fanout

__all__ = ["Subscriber"]

log = structlog.get_logger()


class Subscriber:
    """A viewer of one room.

    Attributes:
        missing_since_s: When the oldest event that it misses was committed, monotonic; None while it misses none.

    Args:
        items: Items of history that its snapshots carry.
        policy: `on_slow`: coalesce, snapshot or disconnect.
    """

    __slots__ = (
        "_fetching",
        "_known_bytes",
        "_ladder",
        "_presence_version",
        "_waits_for_snapshot",
        "closed",
        "cursor",
        "fanout",
        "items",
        "live",
        "member",
        "missing_since_s",
        "pump",
    )

    def __init__(self, pump: Pump, fanout: Fanout, *, items: int, policy: str) -> None:
        self.pump = pump
        self.fanout = fanout
        self.member: Member = pump.member
        self.items = items
        self.cursor = 0
        self.missing_since_s: float | None = None
        self.live = False
        self.closed = False
        self._fetching = False
        self._ladder = Ladder(policy)
        self._known_bytes = fanout.room.merged_bytes
        self._waits_for_snapshot = True
        self._presence_version = -1  # it knows no members: it is told when it is live

    # -- beginning ------------------------------------------------------------------------------

    def start_at(self, seq: int) -> None:
        """Everything up to `seq` is known to the viewer; go on from there."""
        self.cursor = seq
        self._known_bytes = self.fanout.room.merged_bytes
        self._waits_for_snapshot = False
        self._ladder.restart()

    def members_told(self) -> None:
        """The viewer was just told who is there, in a reply."""
        self._presence_version = self.fanout.presence_version

    def expect_snapshot(self) -> None:
        """A frame with a snapshot is on its way; nothing of the room precedes it."""
        self.leave_live()
        self._waits_for_snapshot = True

    # -- live and behind ------------------------------------------------------------------------

    def leave_live(self) -> None:
        """The connection takes nothing for now."""
        if self.live:
            self.live = False
            self.cursor = self.fanout.room.state.seq
            self._known_bytes = self.fanout.room.merged_bytes
            self._presence_version = self.fanout.presence_version  # and so has it every diff
            self.fanout.leave(self)

    def advance(self) -> None:
        """Write what follows the cursor while the connection takes it; live when nothing is left."""
        if self.closed or self.live or self._fetching or self._waits_for_snapshot:
            return
        room, pump = self.fanout.room, self.pump
        if self._ladder.step == "snapshot" and self.cursor < room.state.seq:
            self.reset("lagging")
            return
        while pump.writable:
            if self.cursor >= room.state.seq:
                self._go_live()
                return
            records = room.tail.after(self.cursor, pump.limits.batch_bytes)
            if records is None:
                self._fetching = True
                self.fanout.shared.tasks.start_soon(self._fetch, name=f"catch-up {room.name}")
                return
            self._write(records)

    def close(self) -> None:
        """The subscription is over."""
        if not self.closed:
            self.closed = True
            self.live = False
            self.fanout.remove(self)

    def _go_live(self) -> None:
        missed_diffs = self._presence_version != self.fanout.presence_version
        self.live = True
        self.fanout.enter(self)
        if self.missing_since_s is not None:
            self.fanout.shared.observer.time("roomcast_viewer_lag_seconds", self._lag_s())
            self.missing_since_s = None
        if self._ladder.recover():
            self.pump.tell(signal("subscriber.caught_up", self.fanout.room.name))
        if missed_diffs:
            self._presence_version = self.fanout.presence_version
            self.pump.tell(self.fanout.presence_whole())

    def _write(self, records: list[Record]) -> None:
        limits, framing, epoch = self.pump.limits, self.pump.framing, self.fanout.room.epoch
        merged = merge_records(records, limit_bytes=limits.batch_bytes)
        self.cursor = records[-1].seq
        self._known_bytes += sum(len(record.data) for record in merged)
        self.pump.write(b"".join([framing.event(epoch, record) for record in merged]))

    async def _fetch(self) -> None:
        """Read on from the store until memory reaches back to the cursor, or the socket is full again."""
        room, shared, pump = self.fanout.room, self.fanout.shared, self.pump
        try:
            while self._takes() and room.tail.floor > self.cursor:
                after = self.cursor
                async with shared.reads:
                    read = await shared.event_log.read(
                        room.name, after, shared.limits.read_events, shared.limits.read_bytes
                    )
                if not self._takes():
                    break
                if self.cursor != after:
                    continue  # a snapshot was faster
                if isinstance(read, Expired) or not read.records:
                    self._fetching = False
                    self.reset("expired")
                    return
                # What was just stored is shown by its round, to whoever is live by then.
                self._write_bounded([record for record in read.records if record.seq <= room.state.seq])
        except StorageError as error:
            log.warning("catch_up_failed", room=room.name, error=type(error).__name__)
            if not isinstance(error, StorageDamaged):
                pump.sink.end(Disconnect(CloseCode.TRY_AGAIN_LATER, "the store does not answer"))
            elif self._takes():  # it would be so again for whoever comes back
                self.reset("expired")
        finally:
            self._fetching = False
        if self._takes():
            self.advance()

    def _takes(self) -> bool:
        """Whether events can be written to it now."""
        return self.pump.writable and not self.closed and not self._waits_for_snapshot

    def _write_bounded(self, records: list[Record]) -> None:
        """Write records in batches, as long as the connection takes them."""
        batch: list[Record] = []
        size = 0
        for record in records:
            if batch and size + len(record.data) > self.pump.limits.batch_bytes:
                self._write(batch)
                batch, size = [], 0
                if not self.pump.writable:
                    return
            batch.append(record)
            size += len(record.data)
        self._write(batch)

    # -- resets and lag -------------------------------------------------------------------------

    def reset(self, reason: str) -> None:
        """Start the viewer anew from a snapshot, made when its frame can be written."""
        self.expect_snapshot()
        self.pump.tell_later(lambda: self._reset_frame(reason))

    def restart(self, reason: str) -> None:
        """What it has read is not the beginning of the room's log any more."""
        if not self._waits_for_snapshot:
            self.reset(reason)

    def _reset_frame(self, reason: str) -> bytes | None:
        if self.closed:
            return None
        known = self.cursor or None  # what ended since would else be lost with the events that it missed
        epoch, seq = self.fanout.room.position
        self.start_at(seq)
        payload = encode(
            {
                "type": "room.reset",
                "room": self.fanout.room.name,
                "reason": reason,
                "epoch": epoch,
                "seq": seq,
                "head": seq,
                "snapshot": self.fanout.snapshot(self.items, ended_after=known),
            }
        )
        return self.pump.framing.reset(epoch, seq, payload)

    def snapshot_at_position(self) -> tuple[Cursor, JsonObject]:
        """The state to begin from, for a reply with the members; from here on the viewer stands at the position."""
        position = self.fanout.room.position
        self.start_at(position.seq)
        self.members_told()
        return position, self.fanout.snapshot(self.items)

    def check_lag(self) -> None:
        """Called once in a while for those that are behind: announce each step down, or end it, as the viewer chose."""
        room, fanout = self.fanout.room, self.fanout
        if self.closed or self.live or self._waits_for_snapshot or self.cursor >= room.state.seq:
            return
        step = self._ladder.descend(room.merged_bytes - self._known_bytes, self._snapshot_bytes)
        if step is None:
            return
        fanout.shared.observer.count("roomcast_slow_viewers_total", action=step)
        if step == "disconnect":
            self.pump.sink.end(Disconnect(CloseCode.TOO_SLOW, "behind, and on_slow is disconnect"))
        else:
            self.pump.tell_later(lambda: self._lag_frame(step))

    def _snapshot_bytes(self) -> int:
        return len(encode(self.fanout.snapshot(self.items, ended_after=self.cursor)))

    def _lag_frame(self, step: str) -> bytes | None:
        """How far behind it is when it can be told."""
        if self.closed:
            return None
        room = self.fanout.room
        behind = {"behind_events": room.state.seq - self.cursor, "behind_ms": round(self._lag_s() * 1000)}
        return self.pump.framing.notice(signal("subscriber.lagging", room.name, **behind, policy=step))

    def _lag_s(self) -> float:
        """For how long it has missed something."""
        since_s = self.missing_since_s
        return 0.0 if since_s is None else max(0.0, self.fanout.shared.clock.monotonic_s() - since_s)
