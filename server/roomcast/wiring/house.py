"""A running server: every part built, in one task tree, until it is drained.

    house ── store · demo model · upstream
      └─ tasks ─┬─ committer        rounds of all rooms
                ├─ wheel            what is due by time
                ├─ http             the port
                ├─ warm-up          after ready
                ├─ retention        trims the logs
                └─ generation …     one for each that runs

Start: the store is opened and locked, what a dead process left running is ended (or the store
has had its chance), and only then does the port answer. Stop: no new prompts, viewers are told, generations get
`drain_timeout_s`, connections are closed 1012, and whoever does not leave is cut.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import structlog
from anyio.abc import TaskGroup

from roomcast.core.errors import CloseCode, Disconnect, ServerError
from roomcast.core.ports import Upstream
from roomcast.core.rules import Rulebook
from roomcast.core.settings import Settings
from roomcast.core.wire import signal
from roomcast.generation.runner import Runner
from roomcast.generation.scheduler import Scheduler
from roomcast.observe.loop_lag import watch_loop
from roomcast.observe.metrics import PrometheusObserver
from roomcast.room.committer import Committer
from roomcast.room.hub import Hub
from roomcast.room.room import Reader, Room
from roomcast.storage import Store, keep_trimming
from roomcast.subscriber.desk import Desk
from roomcast.subscriber.fanout import Shared
from roomcast.subscriber.overflow import Overflow
from roomcast.subscriber.pump import Pump
from roomcast.transport.admission import Admission
from roomcast.transport.dispatch import Dispatch
from roomcast.transport.http import build_app
from roomcast.transport.listener import HttpServer, build_server
from roomcast.transport.wheel import Services, Wheel
from roomcast.upstream.tokens import Tokens
from roomcast.wiring.outside import StartError, SystemClock, listen, new_id, open_store, open_upstream

__all__ = ["House", "house"]

log = structlog.get_logger()

DRAIN_RETRY_MS = 1_000
GOODBYE_S = 3.0


class House:
    """A running server.

    Attributes:
        url: Where it listens, for example `http://127.0.0.1:8080`.
        upstream: For the start-up line: who answers.
        store: For the start-up line: where the log lives.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        url: str,
        upstream: str,
        hub: Hub,
        desk: Desk,
        scheduler: Scheduler,
        wheel: Wheel,
        server: HttpServer,
    ) -> None:
        self.settings = settings
        self.url = url
        self.upstream = upstream
        self.store = settings.storage.url
        self.ready = False
        self.hub = hub
        self.desk = desk
        self.scheduler = scheduler
        self.wheel = wheel
        self.server = server
        self._hurry = anyio.Event()

    def hurry(self) -> None:
        """Stop waiting for generations: the second signal."""
        self._hurry.set()

    async def drain(self) -> None:
        """Stop as promised: nothing new, a goodbye, and gone in bounded time."""
        self.ready = False
        log.info("drain_started", generations=self.scheduler.running)
        self.hub.settle()
        self.wheel.farewell = signal("server.draining", retry_after_ms=DRAIN_RETRY_MS)
        for pump in self._pumps():
            pump.tell(self.wheel.farewell)
        with anyio.move_on_after(GOODBYE_S):
            await self.hub.flush()  # what the commit under way starts is waited for like all that runs
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._stop_waiting, waiting.cancel_scope)
            await self.scheduler.drain(self.settings.server.drain_timeout_s)
            waiting.cancel_scope.cancel()
        self.scheduler.interrupt("drain")
        with anyio.move_on_after(GOODBYE_S):
            await self.hub.flush()
        goodbye = Disconnect(CloseCode.SERVICE_RESTART, "the server restarts")
        for pump in self._pumps():
            pump.sink.end(goodbye)
        self.wheel.end_all(goodbye)  # also those that have not shaken hands
        self.server.should_exit = True
        with anyio.move_on_after(self.settings.limits.close_timeout_s):
            await self.wheel.emptied()
        self.wheel.abort_all()
        with anyio.move_on_after(GOODBYE_S + 1):
            await self.server.stopped.wait()
        log.info("drain_ended")

    def _pumps(self) -> set[Pump]:
        """All connections, whether they follow a room or not."""
        arrived = {connection.pump for connection in self.wheel.connections if connection.pump is not None}
        return arrived | self.desk.pumps()

    async def _stop_waiting(self, scope: anyio.CancelScope) -> None:
        await self._hurry.wait()
        scope.cancel()


@asynccontextmanager
async def house(settings: Settings) -> AsyncGenerator[House]:
    """Start a server; leaving the context stops it at once (call `drain` first for a goodbye).

    Raises:
        StartError: The port is taken, the store is in use or cannot be opened.
    """
    clock, observer = SystemClock(), PrometheusObserver()
    async with AsyncExitStack() as stack:
        store = await open_store(settings, stack, clock)
        listening = listen(settings)
        stack.callback(listening.close)
        settings, upstream = await open_upstream(settings, stack)
        tokens = Tokens()
        tasks = await stack.enter_async_context(anyio.create_task_group())
        built = _build(settings, store, listening, upstream, tokens, tasks, clock, observer)
        stack.callback(tasks.cancel_scope.cancel)
        try:
            await built.hub.recover()
        except ServerError as error:
            raise StartError(str(error)) from error
        await _serve(built, listening, tasks)
        tasks.start_soon(_warm, upstream, tokens, name="warm-up")
        tasks.start_soon(watch_loop, observer, clock, name="loop-lag")
        tasks.start_soon(keep_trimming, store, built.hub.trimmed, name="retention")
        built.ready = True
        yield built
        with anyio.CancelScope(shield=True), anyio.move_on_after(GOODBYE_S):
            await built.hub.save()


# ---- the parts -------------------------------------------------------------------------------


def _build(
    settings: Settings,
    store: Store,
    listening: socket.socket,
    upstream: Upstream,
    tokens: Tokens,
    tasks: TaskGroup,
    clock: SystemClock,
    observer: PrometheusObserver,
) -> House:
    limits = settings.limits
    rulebook = Rulebook(
        limits=limits,
        profiles=settings.profiles,
        model=settings.upstream.model,
        simulated=upstream.simulated,
        on_busy=settings.rooms.on_busy,
        debounce_s=settings.rooms.debounce_s,
        respond=settings.rooms.respond,
        create=settings.rooms.create,
        tokens=tokens,
    )
    committer = Committer(
        event_log=store,
        rooms=store,
        rulebook=rulebook,
        clock=clock,
        new_id=new_id,
        observer=observer,
        node=new_id("node"),
    )
    runner = Runner(
        upstream=upstream,
        settings=settings.upstream,
        uncommitted_timeout_s=limits.uncommitted_timeout_s,
        tokens=tokens,
        clock=clock,
        observer=observer,
    )
    scheduler = Scheduler(
        tasks=tasks,
        runner=runner,
        profiles=settings.profiles,
        clock=clock,
        observer=observer,
        limit=limits.generations,
    )
    desk = Desk(Shared(event_log=store, tasks=tasks, limits=limits, clock=clock, observer=observer))

    def readers(room: Room) -> list[Reader]:
        return [desk.fanout(room), scheduler]

    hub = Hub(
        committer=committer,
        event_log=store,
        rooms=store,
        limits=limits,
        clock=clock,
        readers=readers,
        orphan_grace_s=settings.rooms.orphan_grace_s,
    )
    admission = Admission(settings, clock=clock, new_id=new_id, observer=observer)
    dispatch = Dispatch(
        hub=hub,
        desk=desk,
        archive=store,
        authenticator=admission,
        tasks=tasks,
        limits=limits,
        clock=clock,
        new_id=new_id,
        observer=observer,
    )
    wheel, overflow = Wheel(limits, clock, observer), Overflow(clock, observer)
    services = Services(
        limits=limits,
        clock=clock,
        observer=observer,
        admission=admission,
        dispatch=dispatch,
        overflow=overflow,
        wheel=wheel,
    )
    app = build_app(services, ready=lambda: built.ready, metrics=observer.render)
    built = House(
        settings=settings,
        url=_url(listening),
        upstream=_upstream_name(settings, upstream),
        hub=hub,
        desk=desk,
        scheduler=scheduler,
        wheel=wheel,
        server=build_server(app, services),
    )
    tasks.start_soon(committer.run, name="committer")
    tasks.start_soon(wheel.run, hub, desk, overflow, name="wheel")
    return built


async def _serve(built: House, listening: socket.socket, tasks: TaskGroup) -> None:
    """Start the port; returns when it accepts."""
    tasks.start_soon(built.server.serve_on, listening, name="http")
    await built.server.accepting.wait()


async def _warm(upstream: Upstream, tokens: Tokens) -> None:
    """Pay what would otherwise make the first answer late; nobody waits for it."""
    await upstream.warm()
    await tokens.load()
    gc.freeze()  # what is there now stays: collections look at what came since, are short, and come often


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _upstream_name(settings: Settings, upstream: Upstream) -> str:
    if upstream.simulated:
        return "demo, simulated (set OPENAI_API_KEY or OPENAI_BASE_URL for a real one)"
    return f"{settings.upstream.model} at {upstream.name}"
