"""The pipeline in memory: rooms, committer, scheduler, fan-out; with a scripted model and sockets.

    async with a_rig(script) as rig:
        viewer = rig.viewer("ann")
        await viewer.join("lobby")
        asked = await viewer.ask("lobby", "hello")

Everything is the real code but the store (memory, which passes the conformance suite of all
stores), the model, the sockets and the clock. Runs on virtual time.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import orjson

from roomcast.core.errors import Disconnect, Refusal
from roomcast.core.events import JsonObject, Record
from roomcast.core.limits import Limits
from roomcast.core.profile import Profile
from roomcast.core.rules import Rulebook
from roomcast.core.session import Member, Role
from roomcast.core.settings import UpstreamSettings
from roomcast.core.wire import reply, reply_error
from roomcast.generation.runner import Runner
from roomcast.generation.scheduler import Scheduler
from roomcast.observe import NullObserver
from roomcast.room.committer import Committer
from roomcast.room.hub import Hub
from roomcast.room.peers import Peers
from roomcast.room.room import Room
from roomcast.subscriber.desk import Desk
from roomcast.subscriber.fanout import Shared
from roomcast.subscriber.overflow import Overflow
from roomcast.subscriber.pump import Pump
from roomcast.transport.dispatch import Caller, Dispatch
from tests.support.faulty_store import FaultyStore
from tests.support.scripted_upstream import ScriptedUpstream, Step, said
from tests.support.virtual_time import VirtualClock

__all__ = ["FaultyStore", "Rig", "ScriptedUpstream", "Step", "Viewer", "a_rig", "said"]


class _Tokens:
    def count(self, text: str) -> int:
        return len(text.split())


class PlainFraming:
    """Payloads with a newline behind them."""

    def event(self, epoch: str, record: Record) -> bytes:
        return record.data + b"\n"

    def notice(self, payload: bytes) -> bytes:
        return payload + b"\n"

    def reset(self, epoch: str, seq: int, payload: bytes) -> bytes:
        return payload + b"\n"


PLAIN = PlainFraming()


class Socket:
    """A socket in memory. `room_bytes` is what the peer and the kernel take before it is full."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.waiting = bytearray()
        self.room_bytes: float = float("inf")
        self.ended: Disconnect | None = None
        self.pump: Pump
        self.arrived = anyio.Event()

    def write(self, data: bytes) -> None:
        assert self.ended is None, "written to after the end"
        self.waiting += data
        self._move()
        if self.waiting:
            self.pump.pause()

    def buffered_bytes(self) -> int:
        return len(self.waiting)

    def end(self, why: Disconnect) -> None:
        if self.ended is None:
            self.ended = why
            self.pump.close()
            self.arrived.set()

    def stall(self) -> None:
        """The peer stops reading."""
        self.room_bytes = 0

    def read_on(self, size: float = float("inf")) -> None:
        """The peer reads `size` more bytes."""
        self.room_bytes += size
        self._move()
        if not self.waiting:
            self.pump.resume()

    def _move(self) -> None:
        size = int(min(len(self.waiting), self.room_bytes))
        self.taken += self.waiting[:size]
        del self.waiting[:size]
        self.room_bytes -= size
        self.arrived.set()
        self.arrived = anyio.Event()


class Viewer:
    """A connection of one member, as its client sees it."""

    def __init__(self, rig: Rig, name: str, role: Role, limits: Limits) -> None:
        self.rig = rig
        self.socket = Socket()
        self.member = Member(name, name.title(), role)
        self.pump = Pump(self.socket, PLAIN, self.member, limits, rig.overflow.watch)
        self.socket.pump = self.pump
        self.caller = Caller(self.member, self.pump, authenticated=True)
        self._ids = itertools.count(1)

    @property
    def received(self) -> list[JsonObject]:
        """Everything that came, in order."""
        return [orjson.loads(line) for line in bytes(self.socket.taken).splitlines()]

    def events(self, room: str) -> list[JsonObject]:
        """The events of a room that came."""
        return [
            got for got in self.received if got.get("room") == room and "seq" in got and got["type"] != "room.reset"
        ]

    def text(self, room: str) -> str:
        """All output text that came as deltas."""
        return "".join(got["delta"] for got in self.events(room) if got["type"] == "response.output_text.delta")

    def send(self, kind: str, room: str | None = None, **fields: Any) -> str:
        """Send a command without waiting; returns its id."""
        command_id = fields.pop("id", None) or f"{self.member.id}-{next(self._ids)}"
        where = {} if room is None else {"room": room}

        def answer(outcome: bytes | Refusal | Callable[[], bytes]) -> None:
            if isinstance(outcome, Refusal):
                self.pump.tell(reply_error(command_id, outcome))
            elif isinstance(outcome, bytes):
                self.pump.tell(reply(command_id, outcome))
            else:
                make = outcome
                self.pump.tell_later(lambda: PLAIN.notice(reply(command_id, make())))

        body = {"type": kind, "id": command_id, **where, **fields}
        try:
            self.rig.dispatch.handle(self.caller, body, answer)
        except Refusal as refusal:
            answer(refusal)
        return command_id

    async def command(self, kind: str, room: str | None = None, **fields: Any) -> JsonObject:
        """Send a command and wait for its reply."""
        command_id = self.send(kind, room, **fields)
        return await self.reply_to(command_id)

    async def reply_to(self, command_id: str) -> JsonObject:
        """Wait for the reply to a command."""
        return await self.until(lambda got: got["type"] == "reply" and got["id"] == command_id)

    async def join(self, room: str, **fields: Any) -> JsonObject:
        """Join a room; returns the result."""
        result: JsonObject = (await self.command("room.join", room, **fields))["result"]
        return result

    async def ask(self, room: str, text: str, **fields: Any) -> JsonObject:
        """Ask; returns the result."""
        result: JsonObject = (await self.command("message.create", room, content=text, **fields))["result"]
        return result

    async def until(self, wanted: Callable[[JsonObject], bool]) -> JsonObject:
        """Wait until something that is `wanted` has come; returns the first such."""
        while True:
            for got in self.received:
                if wanted(got):
                    return got
            await self.socket.arrived.wait()

    async def until_text(self, room: str, text: str) -> None:
        """Wait until the room's output text begins with `text`."""
        await self.until(lambda _: self.text(room).startswith(text))

    async def until_type(self, kind: str, response_id: str | None = None) -> JsonObject:
        """Wait for an event of this type, of this response if one is named."""
        return await self.until(lambda got: got["type"] == kind and response_id in (None, got.get("response_id")))


class Seen(NullObserver):
    """Keeps what is observed, without labels: counters summed, gauges as they stand, every time."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.times: defaultdict[str, list[float]] = defaultdict(list)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        super().count(name, amount, **labels)
        self.counted[name] += int(amount)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        super().gauge(name, value, **labels)
        self.gauges[name] = value

    def time(self, name: str, seconds: float, /, **labels: str) -> None:
        super().time(name, seconds, **labels)
        self.times[name].append(seconds)


class Rig:
    """The parts, for tests that look inside."""

    def __init__(
        self,
        upstream: ScriptedUpstream,
        store: FaultyStore,
        limits: Limits,
        rulebook: Rulebook | None,
        orphan_grace_s: float | None,
        node: str,
    ) -> None:
        self.upstream = upstream
        self.store = store
        self.limits = limits
        self.node = node
        self.clock = VirtualClock()
        self.observer = Seen()
        self._ids = itertools.count(1)
        self._orphan_grace_s = orphan_grace_s
        self._rulebook = rulebook or Rulebook(
            limits=limits, profiles={"default": Profile(name="default")}, model="scripted-1", simulated=True
        )
        self.overflow = Overflow(self.clock, self.observer)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{self.node}{next(self._ids):04}"

    def viewer(self, name: str, role: Role = Role.OWNER) -> Viewer:
        """A new connection."""
        return Viewer(self, name, role, self.limits)

    def room(self, name: str) -> Room:
        """The room itself."""
        return self.hub.room(name)

    async def build(self, tasks: anyio.abc.TaskGroup, settings: UpstreamSettings) -> None:
        """Put everything together as wiring.py does."""
        self.committer = Committer(
            event_log=self.store,
            rooms=self.store,
            rulebook=self._rulebook,
            clock=self.clock,
            new_id=self.new_id,
            observer=self.observer,
            node=self.node,
        )
        runner = Runner(
            upstream=self.upstream,
            settings=settings,
            uncommitted_timeout_s=self.limits.uncommitted_timeout_s,
            tokens=_Tokens(),
            clock=self.clock,
            observer=self.observer,
        )
        self.scheduler = Scheduler(
            tasks=tasks,
            runner=runner,
            profiles=self._rulebook.profiles,
            clock=self.clock,
            observer=self.observer,
            limit=self.limits.generations,
        )
        self.desk = Desk(
            Shared(event_log=self.store, tasks=tasks, limits=self.limits, clock=self.clock, observer=self.observer)
        )
        self.hub = Hub(
            committer=self.committer,
            event_log=self.store,
            rooms=self.store,
            limits=self.limits,
            clock=self.clock,
            readers=lambda room: [self.desk.fanout(room), self.scheduler],
            orphan_grace_s=self._orphan_grace_s,
        )
        self.dispatch = Dispatch(
            hub=self.hub,
            desk=self.desk,
            archive=self.store,
            authenticator=self,  # type: ignore[arg-type]  # no test of the rig authenticates
            tasks=tasks,
            limits=self.limits,
            clock=self.clock,
            new_id=self.new_id,
            observer=self.observer,
        )
        self.peers = Peers(
            node=self.node,
            event_log=self.store,
            rooms=self.store,
            leases=self.store,
            hub=self.hub,
            clock=self.clock,
        )
        tasks.start_soon(self.committer.run)

    async def turn(self, for_s: float) -> None:
        """Let time pass as the wheel does."""
        for _ in range(round(for_s * 4)):
            await anyio.sleep(0.25)
            self.tick()

    def tick(self) -> None:
        """What the wheel does when it turns."""
        now_s = self.clock.monotonic_s()
        self.overflow.tick(now_s)
        self.hub.tick(self.desk.deserted_since_s)
        for fanout in self.desk.fanouts():
            fanout.tick(now_s)
        for room in self.hub.sweep(self.desk.occupied):
            self.desk.forget(room)


@asynccontextmanager
async def a_rig(
    *scripts: Sequence[Step],
    upstream: ScriptedUpstream | None = None,
    store: FaultyStore | None = None,
    limits: Limits | None = None,
    rulebook: Rulebook | None = None,
    settings: UpstreamSettings | None = None,
    orphan_grace_s: float | None = None,
    node: str = "",
    shared: bool = False,
    breaks: bool = False,
) -> AsyncGenerator[Rig]:
    """Run a rig.

    Args:
        store: May be one that an earlier rig left, as after a crash, or that another rig uses as well.
        node: Name of this node, for rigs that share a store.
        shared: Whether to follow what others write.
        breaks: Whether the rules are meant to break on something.
    """
    upstream = upstream or ScriptedUpstream(*scripts)
    rig = Rig(upstream, store or FaultyStore(), limits or Limits(), rulebook, orphan_grace_s, node)
    async with anyio.create_task_group() as tasks:
        await rig.build(tasks, settings or UpstreamSettings())
        if shared:
            tasks.start_soon(rig.peers.run)
        yield rig
        tasks.cancel_scope.cancel()
    assert bool(rig.observer.counted["roomcast_intent_failures_total"]) == breaks
