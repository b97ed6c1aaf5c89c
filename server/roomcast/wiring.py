"""Builds everything, owns the task tree, and says when to start and when to stop.

    run ── signals ──► House.drain
     └─ house ── store · demo model · upstream
         └─ tasks ─┬─ committer        rounds of all rooms
                   ├─ wheel            what is due by time
                   ├─ http             the port
                   ├─ tokens, warm-up  after ready
                   └─ generation …     one for each that runs

Start: the store is opened and locked, what a dead process left running is ended, and only
then does the port answer. Stop: no new prompts, viewers are told, generations get
`drain_timeout_s`, connections are closed 1012, and whoever does not leave is cut.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, time_ns

import anyio
import structlog
from anyio.abc import TaskGroup

from roomcast.core.errors import CloseCode, Disconnect, ServerError
from roomcast.core.ids import ENTROPY_BYTES, make_id
from roomcast.core.ports import Upstream
from roomcast.core.rules import Rulebook
from roomcast.core.settings import Secret, Settings
from roomcast.core.wire import signal as signal_payload
from roomcast.generation.runner import Runner
from roomcast.generation.scheduler import Scheduler
from roomcast.observe import logging as logs
from roomcast.observe.loop_lag import watch_loop
from roomcast.observe.metrics import PrometheusObserver
from roomcast.room.committer import Committer
from roomcast.room.hub import Hub
from roomcast.room.room import Reader, Room
from roomcast.storage import Store, open_memory, open_sqlite
from roomcast.subscriber.desk import Desk
from roomcast.subscriber.fanout import Shared
from roomcast.subscriber.overflow import Overflow
from roomcast.transport.admission import Admission
from roomcast.transport.dispatch import Dispatch
from roomcast.transport.http import build_app
from roomcast.transport.listener import HttpServer, bind, build_server
from roomcast.transport.wheel import Services, Wheel
from roomcast.upstream import build_upstream
from roomcast.upstream.demo.server import serve_demo
from roomcast.upstream.demo.settings import DemoSettings
from roomcast.upstream.tokens import Tokens

__all__ = ["House", "StartError", "house", "run"]

log = structlog.get_logger()

DRAIN_RETRY_MS = 1_000
GOODBYE_S = 3.0
SWITCH_INTERVAL_S = 0.0005


class StartError(ServerError):
    """The server cannot start; the message says what to do about it."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since some instant; never jumps."""
        return monotonic()


def new_id(prefix: str) -> str:
    """A fresh id from the machine's clock and its entropy."""
    return make_id(prefix, time_ns() // 1_000_000, os.urandom(ENTROPY_BYTES))


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
        self.store = _store_name(settings)
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
        payload = signal_payload("server.draining", retry_after_ms=DRAIN_RETRY_MS)
        for pump in self.desk.pumps():
            pump.tell(payload)
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._stop_waiting, waiting.cancel_scope)
            await self.scheduler.drain(self.settings.server.drain_timeout_s)
            waiting.cancel_scope.cancel()
        self.scheduler.interrupt("drain")
        with anyio.move_on_after(GOODBYE_S):
            await self.hub.flush()
        goodbye = Disconnect(CloseCode.SERVICE_RESTART, "the server restarts")
        for pump in self.desk.pumps():
            pump.sink.end(goodbye)
        self.wheel.end_all(goodbye)
        self.server.should_exit = True
        with anyio.move_on_after(self.settings.limits.close_timeout_s):
            await self.wheel.emptied()
        self.wheel.abort_all()
        log.info("drain_ended")

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
        store = await _open_store(settings, stack, clock)
        listening = _listen(settings)
        stack.callback(listening.close)
        settings, upstream = await _open_upstream(settings, stack)
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
        built.ready = True
        yield built
        with anyio.CancelScope(shield=True), anyio.move_on_after(GOODBYE_S):
            await built.hub.save()


def run(settings: Settings, announce: Callable[[str], None]) -> int:
    """Serve until a signal says stop; returns the exit status.

    Args:
        announce: Gets the one line that says that the server is ready.

    Raises:
        StartError: It cannot start.
    """
    # The store's threads hand over many times a commit; at the default of 5 ms a busy loop
    # would make each wait that long for the interpreter.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    sink = logs.configure(settings.log, secrets=settings.secrets)
    try:
        return anyio.run(_main, settings, announce, backend_options={"use_uvloop": _has_uvloop()})
    except* StartError as errors:
        raise errors.exceptions[0] from None
    finally:
        sink.close(timeout_s=1.0)


async def _main(settings: Settings, announce: Callable[[str], None]) -> int:
    logs.take_over_loop()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with house(settings) as running:
            announce(_ready_line(running))
            await anext(signals)
            async with anyio.create_task_group() as stopping:

                async def second() -> None:
                    await anext(signals)
                    running.hurry()

                stopping.start_soon(second)
                await running.drain()
                stopping.cancel_scope.cancel()
    return 0


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
        respond=settings.rooms.respond,
        create=settings.rooms.create,
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

    hub = Hub(committer=committer, event_log=store, rooms=store, limits=limits, clock=clock, readers=readers)
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


async def _open_store(settings: Settings, stack: AsyncExitStack, clock: SystemClock) -> Store:
    url = settings.storage.url
    if url.startswith("memory:"):
        return await stack.enter_async_context(open_memory(clock=clock))
    path = Path(url.removeprefix("sqlite:///").replace("{data}", settings.storage.data))
    try:
        return await stack.enter_async_context(open_sqlite(path, durability=settings.storage.durability, clock=clock))
    except ServerError as error:
        raise StartError(str(error)) from error


async def _open_upstream(settings: Settings, stack: AsyncExitStack) -> tuple[Settings, Upstream]:
    """The configured model service, or the demo model when there is none; and the settings that follow from it."""
    base_url, api_key = settings.upstream.base_url, settings.upstream.api_key
    simulated = settings.simulated
    if simulated:
        asked = settings.demo
        demo = await stack.enter_async_context(
            serve_demo(
                DemoSettings(
                    seed=asked.seed,
                    first_token_ms=asked.first_token_ms,
                    tokens_per_second=asked.tokens_per_second,
                    jitter=asked.jitter,
                    faults=asked.faults,
                )
            )
        )
        base_url, api_key = demo.base_url, Secret(demo.api_key)
        profiles = {name: replace(profile, model=demo.model) for name, profile in settings.profiles.items()}
        settings = replace(settings, profiles=profiles)
    upstream = build_upstream(
        settings.upstream,
        base_url=base_url,
        api_key=api_key,
        simulated=simulated,
        new_id=new_id,
        limits=settings.limits,
    )
    stack.push_async_callback(upstream.close)
    return settings, upstream


def _listen(settings: Settings) -> socket.socket:
    server = settings.server
    try:
        return bind(server.host, server.port, settings.limits)
    except OSError as error:
        where = f"{server.host}:{server.port}"
        raise StartError(f"cannot listen on {where}: {error.strerror or error}; choose another --port") from error


async def _serve(built: House, listening: socket.socket, tasks: TaskGroup) -> None:
    """Start the port; returns when it accepts."""
    server = built.server

    async def serve() -> None:
        try:
            await server.serve(sockets=[listening])
        finally:
            server.stop_listening()

    tasks.start_soon(serve, name="http")
    await server.accepting.wait()


async def _warm(upstream: Upstream, tokens: Tokens) -> None:
    """Pay what would otherwise make the first answer late; nobody waits for it."""
    await upstream.warm()
    await tokens.load()


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _upstream_name(settings: Settings, upstream: Upstream) -> str:
    if upstream.simulated:
        return "demo, simulated (set OPENAI_API_KEY or OPENAI_BASE_URL for a real one)"
    return f"{settings.upstream.model} at {upstream.name}"


def _store_name(settings: Settings) -> str:
    return settings.storage.url.replace("{data}", settings.storage.data)


def _ready_line(running: House) -> str:
    return (
        f"roomcast {version('roomcast')} is ready on {running.url} · model: {running.upstream} · store: {running.store}"
    )


def _has_uvloop() -> bool:
    return find_spec("uvloop") is not None
