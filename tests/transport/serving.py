"""The HTTP side on a real port: the house without its store on disk, and with a model that tests script.

async with serving(said("Hel", "lo")) as served:
    await served.http.get("/livez")
    async with served.events("lobby") as stream: ...
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from time import monotonic, time_ns
from typing import Any

import anyio
import httpx2
from anyio import to_thread

from roomcast.core.errors import CloseCode, Disconnect
from roomcast.core.events import JsonObject
from roomcast.core.ids import ENTROPY_BYTES, make_id
from roomcast.core.limits import Limits
from roomcast.core.profile import Profile
from roomcast.core.rules import Rulebook
from roomcast.core.session import Member
from roomcast.core.settings import Settings, UpstreamSettings
from roomcast.core.wire import signal
from roomcast.generation.runner import Runner
from roomcast.generation.scheduler import Scheduler
from roomcast.observe import NullObserver
from roomcast.room.committer import Committer
from roomcast.room.hub import Hub
from roomcast.storage import MemoryStore
from roomcast.subscriber.desk import Desk
from roomcast.subscriber.fanout import Shared
from roomcast.subscriber.overflow import Overflow
from roomcast.transport.admission import Admission
from roomcast.transport.dispatch import Caller, Dispatch
from roomcast.transport.http import build_app
from roomcast.transport.listener import HttpServer, bind, build_server
from roomcast.transport.websocket import WebSocketConnection
from roomcast.transport.wheel import Services, Wheel
from tests.support.rig import FaultyStore, ScriptedUpstream, Step
from tests.transport.readers import PATIENCE_S, EventReader, RawSocket

__all__ = ["Served", "eventually", "new_id", "nobody_follows", "serving"]


class RealClock:
    def now_ms(self) -> int:
        return time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return monotonic()


class CountingObserver(NullObserver):
    """Refuses undeclared names as the real one does, and remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        super().count(name, amount, **labels)
        self.counts[" ".join([name, *labels.values()])] += int(amount)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        super().gauge(name, value, **labels)
        self.gauges[name] = value


class Tokens:
    def count(self, text: str) -> int:
        return len(text.split())


def new_id(prefix: str) -> str:
    return make_id(prefix, time_ns() // 1_000_000, os.urandom(ENTROPY_BYTES))


async def eventually(holds: Callable[[], object]) -> None:
    """Wait for what no event tells: something inside the server that the network brings about."""
    with anyio.fail_after(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)


async def nobody_follows(served: Served, room: str = "lobby") -> None:
    """Wait until nobody follows the room, and everything that was taken is given back."""
    await eventually(lambda: not served.subscribers(room))
    await eventually(lambda: not served.observer.gauges.get("roomcast_connections"))
    await eventually(lambda: not served.overflow.count)


class Served:
    """A running server and a client for it."""

    def __init__(self, settings: Settings, store: MemoryStore, upstream: ScriptedUpstream) -> None:
        self.settings = settings
        self.store = store
        self.upstream = upstream
        self.ready = True
        self.observer = CountingObserver()
        self.port = 0
        self.http: httpx2.AsyncClient
        self.hub: Hub
        self.desk: Desk
        self.admission: Admission
        self.overflow: Overflow
        self.dispatch: Dispatch
        self.server: HttpServer
        self.wheel: Wheel

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def command(self, room: str, kind: str, **fields: Any) -> JsonObject:
        """Carry out a command of member `ann`, past the network; returns its result."""
        body = {"type": kind, "id": new_id("cmd"), "room": room, **fields}
        answered, results = anyio.Event(), list[Any]()

        def answer(outcome: Any) -> None:
            results.append(outcome)
            answered.set()

        self.dispatch.handle(Caller(Member("ann", "Ann"), authenticated=True), body, answer)
        with anyio.fail_after(PATIENCE_S):
            await answered.wait()
        result: JsonObject = json.loads(results[0])
        return result

    async def say(self, room: str, text: str) -> JsonObject:
        """Say something that nobody answers."""
        return await self.command(room, "message.create", content=text, respond="never")

    async def ask(self, room: str, text: str = "hello") -> JsonObject:
        """Ask the model."""
        return await self.command(room, "message.create", content=text)

    @asynccontextmanager
    async def events(
        self, room: str, *, headers: dict[str, str] | None = None, **query: str
    ) -> AsyncGenerator[EventReader]:
        """Follow a room."""
        async with self.http.stream("GET", f"/v1/rooms/{room}/events", params=query, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            yield EventReader(response)

    async def raw(self, *lines: str, receive_buffer_bytes: int | None = None) -> RawSocket:
        """A plain socket that has sent these lines, and reads when it is told to."""
        return await to_thread.run_sync(partial(RawSocket, self.port, lines, receive_buffer_bytes))

    def tell_all(self, name: str) -> None:
        """Send a signal to every connection that follows a room, as a drain does."""
        for fanout in self.desk.fanouts():
            for subscriber in fanout.subscribers:
                subscriber.pump.tell(signal(name, retry_after_ms=1_000))

    def end_all(self) -> None:
        """End every connection that follows a room, as a drain does."""
        for fanout in self.desk.fanouts():
            for subscriber in list(fanout.subscribers):
                subscriber.pump.sink.end(Disconnect(CloseCode.SERVICE_RESTART, "the server restarts"))

    @property
    def sockets(self) -> int:
        """Open connections of the server that are no WebSockets."""
        return len(self.server.server_state.connections)

    def subscribers(self, room: str) -> int:
        return len(self.desk.fanout(self.hub.room(room)).subscribers)


@asynccontextmanager
async def serving(
    *scripts: Sequence[Step],
    limits: Limits | None = None,
    settings: Settings | None = None,
    store: MemoryStore | None = None,
    tick_s: float = 0.02,
    accept: Callable[[Services], WebSocketConnection] = WebSocketConnection,
) -> AsyncGenerator[Served]:
    """Serve on a free port of loopback until the context ends; the wheel is the test's to turn."""
    limits = limits or Limits()
    settings = replace(settings or Settings(), limits=limits)
    served = Served(settings, store or FaultyStore(), ScriptedUpstream(*scripts))
    clock = RealClock()
    async with anyio.create_task_group() as tasks:
        app_services = _build(served, clock, tasks)
        app = build_app(app_services, ready=lambda: served.ready, metrics=lambda: b"roomcast_up 1\n")
        listening = bind("127.0.0.1", 0, limits)
        served.port = listening.getsockname()[1]
        server = served.server = build_server(app, app_services, accept=accept)

        stopped = anyio.Event()

        async def serve() -> None:
            with closing(listening):
                await server.serve(sockets=[listening])
            stopped.set()

        async def tick() -> None:
            while True:
                await anyio.sleep(tick_s)
                served.overflow.tick(clock.monotonic_s())

        tasks.start_soon(serve)
        tasks.start_soon(tick)
        with anyio.fail_after(PATIENCE_S):
            await server.accepting.wait()
        try:
            async with httpx2.AsyncClient(base_url=f"http://{served.host}", timeout=PATIENCE_S) as client:
                served.http = client
                yield served
        finally:
            # In order also when a test failed: uvloop cannot be closed over a listening server.
            with anyio.CancelScope(shield=True), anyio.fail_after(PATIENCE_S):
                served.end_all()
                server.should_exit = True
                await stopped.wait()
            tasks.cancel_scope.cancel()


def _build(served: Served, clock: RealClock, tasks: anyio.abc.TaskGroup) -> Services:
    """Put the parts together as wiring.py does."""
    limits, store, observer = served.settings.limits, served.store, served.observer
    rulebook = Rulebook(
        limits=limits, profiles={"default": Profile(name="default")}, model="scripted-1", simulated=True
    )
    committer = Committer(
        event_log=store, rooms=store, rulebook=rulebook, clock=clock, new_id=new_id, observer=observer, node="node_1"
    )
    runner = Runner(
        upstream=served.upstream,
        settings=UpstreamSettings(),
        uncommitted_timeout_s=limits.uncommitted_timeout_s,
        tokens=Tokens(),
        clock=clock,
        observer=observer,
    )
    scheduler = Scheduler(
        tasks=tasks, runner=runner, profiles=rulebook.profiles, clock=clock, observer=observer, limit=10
    )
    served.desk = Desk(Shared(event_log=store, tasks=tasks, limits=limits, clock=clock, observer=observer))
    served.hub = Hub(
        committer=committer,
        event_log=store,
        rooms=store,
        limits=limits,
        clock=clock,
        readers=lambda room: [served.desk.fanout(room), scheduler],
    )
    served.admission = Admission(served.settings, clock=clock, new_id=new_id, observer=observer)
    served.overflow = Overflow(clock, observer)
    served.dispatch = Dispatch(
        hub=served.hub,
        desk=served.desk,
        archive=store,
        authenticator=served.admission,
        tasks=tasks,
        limits=limits,
        clock=clock,
        new_id=new_id,
        observer=observer,
    )
    served.wheel = Wheel(limits, clock, observer)
    tasks.start_soon(committer.run)
    return Services(
        limits=limits,
        clock=clock,
        observer=observer,
        admission=served.admission,
        dispatch=served.dispatch,
        overflow=served.overflow,
        wheel=served.wheel,
    )
