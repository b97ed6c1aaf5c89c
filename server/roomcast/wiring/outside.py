"""The outside world, opened: clocks, entropy, the store, the model service, the port.

Whatever cannot be opened is a `StartError` with one line that says what to do about it.
"""

from __future__ import annotations

import os
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from time import monotonic, time_ns

from roomcast.core.errors import ServerError, StorageDamaged
from roomcast.core.ids import ENTROPY_BYTES, make_id
from roomcast.core.ports import Upstream
from roomcast.core.settings import Secret, Settings
from roomcast.storage import Space, Store, open_memory, open_sqlite
from roomcast.transport.listener import bind
from roomcast.upstream import build_upstream
from roomcast.upstream.demo.server import serve_demo
from roomcast.upstream.demo.settings import DemoSettings

__all__ = ["StartError", "SystemClock", "listen", "new_id", "open_store", "open_upstream"]


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


async def open_store(settings: Settings, stack: AsyncExitStack, clock: SystemClock) -> Store:
    """Open the store that the settings name; it is closed with `stack`."""
    url = settings.storage.url
    if url.startswith("memory:"):
        return await stack.enter_async_context(open_memory(clock=clock, retention=settings.limits.retention))
    path = Path(url.removeprefix("sqlite:///"))
    try:
        return await stack.enter_async_context(
            open_sqlite(
                path,
                durability=settings.storage.durability,
                clock=clock,
                retention=settings.limits.retention,
                space=Space(settings.limits.disk_watermark_bytes, settings.limits.disk_ballast_bytes),
            )
        )
    except StorageDamaged as error:
        raise StartError(f"{error}; put a backup in its place: roomcast restore FILE") from error
    except ServerError as error:
        raise StartError(str(error)) from error


async def open_upstream(settings: Settings, stack: AsyncExitStack) -> tuple[Settings, Upstream]:
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


def listen(settings: Settings) -> socket.socket:
    """Bind the port; nobody is answered yet."""
    server = settings.server
    try:
        return bind(server.host, server.port, settings.limits)
    except OSError as error:
        where = f"{server.host}:{server.port}"
        raise StartError(f"cannot listen on {where}: {error.strerror or error}; choose another --port") from error
