"""One wheel for everything that is due by time, instead of a timer or task per connection.

    four times a second: full sockets (overflow), close frames unanswered, heads that never end,
                         what rooms wait for
    once a second:       one slot of the keepalive ring, sockets that fell silent below high water,
                         presence and head beacons, rooms to forget, what is there to be counted

A connection sits in one of `ping_interval_s` slots, so that each is visited once an interval
and the visits spread evenly.
"""

from __future__ import annotations

import asyncio
import logging
import select
from itertools import count
from typing import Protocol

import anyio

from roomcast.core.errors import Disconnect
from roomcast.core.limits import Limits
from roomcast.core.ports import Clock, Observer
from roomcast.room.hub import Hub
from roomcast.subscriber.desk import Desk
from roomcast.subscriber.overflow import Overflow
from roomcast.transport.admission import Admission
from roomcast.transport.dispatch import Dispatch
from roomcast.transport.websocket import WebSocketConnection

__all__ = ["Services", "Wheel"]

TICK_S = 0.25


class Abortable(Protocol):
    """A socket that can be dropped."""

    def abort(self) -> None:
        """Drop it now."""
        ...


class Wheel:
    """The connections of this process, by what is due for them.

    Attributes:
        farewell: Told to whoever comes in, once the server is about to stop; None until then.
    """

    def __init__(self, limits: Limits, clock: Clock, observer: Observer) -> None:
        self.farewell: bytes | None = None
        self._limits = limits
        self._clock = clock
        self._observer = observer
        slots = max(1, round(limits.ping_interval_s))
        self._ring: list[set[WebSocketConnection]] = [set() for _ in range(slots)]
        self._slot_of: dict[WebSocketConnection, int] = {}
        self._next_slot = count()
        self._arrived: dict[WebSocketConnection, float] = {}
        self._deadlines: dict[Abortable, float] = {}
        self._empty = anyio.Event()

    # -- who is there ---------------------------------------------------------------------------

    @property
    def connections(self) -> list[WebSocketConnection]:
        """All WebSocket connections."""
        return list(self._slot_of)

    def add(self, connection: WebSocketConnection) -> None:
        """A socket was handed over; it has `first_command_timeout_s` to say something valid."""
        slot = next(self._next_slot) % len(self._ring)
        self._slot_of[connection] = slot
        self._ring[slot].add(connection)
        self._arrived[connection] = self._clock.monotonic_s() + self._limits.first_command_timeout_s

    def remove(self, connection: WebSocketConnection) -> None:
        """A socket is gone."""
        slot = self._slot_of.pop(connection, None)
        if slot is not None:
            self._ring[slot].discard(connection)
        self._arrived.pop(connection, None)
        self._deadlines.pop(connection, None)
        if not self._slot_of:
            self._empty.set()
            self._empty = anyio.Event()

    async def emptied(self) -> None:
        """Wait until no WebSocket connection is left."""
        while self._slot_of:
            await self._empty.wait()

    def abort_by(self, socket: Abortable, timeout_s: float) -> None:
        """Drop `socket` unless `spare` is called in time."""
        self._deadlines.setdefault(socket, self._clock.monotonic_s() + timeout_s)

    def spare(self, socket: Abortable) -> None:
        """What was awaited of `socket` happened."""
        self._deadlines.pop(socket, None)

    # -- turning --------------------------------------------------------------------------------

    async def run(self, hub: Hub, desk: Desk, overflow: Overflow) -> None:
        """Turn for ever."""
        for turn in count():
            await anyio.sleep(TICK_S)
            now_s = self._clock.monotonic_s()
            overflow.tick(now_s)
            self._cut(now_s)
            hub.tick(desk.deserted_since_s)
            if turn % round(1 / TICK_S) == 0:
                self._visit(turn // round(1 / TICK_S), now_s)
                self._find_full()
                for fanout in desk.fanouts():
                    fanout.tick(now_s)
                for room in hub.sweep(desk.occupied):
                    desk.forget(room)
                self._observe(hub, desk)

    def end_all(self, why: Disconnect) -> None:
        """Say goodbye to everybody."""
        for connection in self.connections:
            connection.end(why)

    def abort_all(self) -> None:
        """Drop everybody who is still there."""
        for connection in self.connections:
            connection.abort()

    def _observe(self, hub: Hub, desk: Desk) -> None:
        waiting = sum(pump.outbox.statistics().size_bytes for pump in desk.pumps() if pump.outbox)
        self._observer.gauge("roomcast_outbox_bytes", waiting)
        self._observer.gauge("roomcast_rooms_loaded", len(hub.loaded))
        # Not anyio's list, which costs twenty times as much: 0.1 s a second with 20,000 readers of streams.
        self._observer.gauge("roomcast_tasks", len(asyncio.all_tasks()))
        self._observer.gauge("roomcast_subscribers", sum(len(fanout.subscribers) for fanout in desk.fanouts()))

    def _cut(self, now_s: float) -> None:
        for socket, deadline_s in list(self._deadlines.items()):
            if now_s >= deadline_s:
                del self._deadlines[socket]
                socket.abort()
        for connection, deadline_s in list(self._arrived.items()):
            if now_s < deadline_s:
                break  # arrivals are in order
            del self._arrived[connection]
            connection.expire()

    def _find_full(self) -> None:
        """Find sockets that refuse bytes too few to fill a buffer: they too have their write deadline."""
        suspects = {
            descriptor: connection for connection in self._slot_of if (descriptor := connection.suspect()) is not None
        }
        if suspects:
            poll = select.poll()
            for descriptor in suspects:
                poll.register(descriptor, select.POLLOUT)
            for descriptor in suspects.keys() - {descriptor for descriptor, _ in poll.poll(0)}:
                suspects[descriptor].refuse()

    def _visit(self, turn: int, now_s: float) -> None:
        for connection in list(self._ring[turn % len(self._ring)]):
            connection.keep_alive(now_s)


class Services:
    """What a WebSocket connection needs of the house."""

    __slots__ = ("admission", "clock", "dispatch", "limits", "observer", "overflow", "protocol_logger", "wheel")

    def __init__(
        self,
        *,
        limits: Limits,
        clock: Clock,
        observer: Observer,
        admission: Admission,
        dispatch: Dispatch,
        overflow: Overflow,
        wheel: Wheel,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.observer = observer
        self.admission = admission
        self.dispatch = dispatch
        self.overflow = overflow
        self.wheel = wheel
        self.protocol_logger = logging.getLogger("websockets.server")

    def add(self, connection: WebSocketConnection) -> None:
        """A connection arrived."""
        self.wheel.add(connection)

    def remove(self, connection: WebSocketConnection) -> None:
        """A connection is gone."""
        self.wheel.remove(connection)

    def closing(self, connection: WebSocketConnection) -> None:
        """A close frame is written: the peer has `close_timeout_s` to answer it."""
        self.wheel.abort_by(connection, self.limits.close_timeout_s)
