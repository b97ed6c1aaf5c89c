"""Other nodes on the same log: who is alive, what the dead left behind, and what the living wrote.

    beat ──► leases ──► beats, holds ──► Recovered("owner_lost") for what nobody runs any more
    log.follow ──► hub.moved ──► the committer folds what others appended

Nobody is elected. Whoever notices that a node's counter stands still appends the end of what it
held; if that node was only paused, its next append builds on a head that is no more, is refused
by the log, and it learns from the room's state what became of its responses.

Invariants
    N1  A node is given up only after `timeout_s` in which this process itself was awake: a pause
        of ours is not held against the others.
    N2  What is given up is named: a response that another node began meanwhile is not touched.

The embedded store has one process, proven by the lock on its folder, and needs none of this
(Hub.recover); it is for logs with other writers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import structlog

from roomcast.core.errors import StorageError
from roomcast.core.intents import Recovered
from roomcast.core.ports import Beat, Clock, EventLog, Hold, Leases, Rooms
from roomcast.room.hub import Hub

__all__ = ["Peers"]

log = structlog.get_logger()

TIMEOUT_S = 10.0
BEAT_S = 2.5


@dataclass(slots=True)
class _Pulse:
    """A node's counter when it was last seen to move, and how long it has stood still since."""

    count: int
    still_s: float = 0.0


class Peers:
    """What this node knows of the others.

    Args:
        node: This node's name; the same as the committer's.
        timeout_s: How long a counter stands still before its node counts as dead.
        beat_s: Time between two beats of ours, and between two looks at the others.
    """

    def __init__(
        self,
        *,
        node: str,
        event_log: EventLog,
        rooms: Rooms,
        leases: Leases,
        hub: Hub,
        clock: Clock,
        timeout_s: float = TIMEOUT_S,
        beat_s: float = BEAT_S,
    ) -> None:
        self._node = node
        self._event_log = event_log
        self._rooms = rooms
        self._leases = leases
        self._hub = hub
        self._clock = clock
        self._timeout_s = timeout_s
        self._beat_s = beat_s
        self._pulses: dict[str, _Pulse] = {}
        self._given_up: set[str] = set()

    async def run(self) -> None:
        """Follow and watch for ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow, name="follow")
            tasks.start_soon(self._watch, name="watch")

    async def _follow(self) -> None:
        async with self._event_log.follow() as heads:
            async for head in heads:
                self._hub.moved(head)

    async def _watch(self) -> None:
        looked_at_s = self._clock.monotonic_s()
        while True:
            now_s = self._clock.monotonic_s()
            awake_s, looked_at_s = min(now_s - looked_at_s, 2 * self._beat_s), now_s
            try:
                await self._leases.beat(self._node)
                held, beats = await self._leases.held(), await self._leases.beats()
                self._give_up(held, self._dead(held, beats, awake_s))
                await self._adopt(held)
            except StorageError as error:
                log.warning("watch_failed", error=type(error).__name__)
            await anyio.sleep(self._beat_s)

    async def _adopt(self, held: Sequence[Hold]) -> None:
        """Start what waits in rooms where nothing runs: whoever was to start it drains, or has died."""
        running = {hold.room for hold in held}
        waiting = [self._hub.room(name) for name in await self._rooms.unfinished() if name not in running]
        for room in waiting:
            if room.degraded_for is None:  # else it was told already, and that waits for the store
                room.submit(Recovered("restart", ()))

    def _dead(self, held: Sequence[Hold], beats: Sequence[Beat], awake_s: float) -> set[str]:
        """Nodes whose counter has stood still for too long; one that never beat counts from when it was first seen."""
        counts = {hold.node: 0 for hold in held} | {beat.node: beat.count for beat in beats}
        self._pulses = {node: pulse for node, pulse in self._pulses.items() if node in counts}
        for node, count in counts.items():
            pulse = self._pulses.get(node)
            if pulse is None or pulse.count != count:
                self._pulses[node] = _Pulse(count)
            else:
                pulse.still_s += awake_s
        return {node for node, pulse in self._pulses.items() if pulse.still_s >= self._timeout_s} - {self._node}

    def _give_up(self, held: Sequence[Hold], dead: set[str]) -> None:
        """End what dead nodes hold, each once."""
        left = {hold.response_id: hold for hold in held if hold.node in dead}
        for response_id in left.keys() - self._given_up:
            hold = left[response_id]
            log.warning("owner_lost", room=hold.room, response_id=response_id, node=hold.node)
            self._hub.room(hold.room).submit(Recovered("owner_lost", (response_id,)))
        self._given_up = set(left)
