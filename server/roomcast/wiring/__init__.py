"""Where everything meets: the only package that knows all the others.

outside   what is opened: the store, the model service, the port, the clocks
house     a running server, and how it is drained
copies    backups of the store
here      a process around it: logging, signals, the exit status
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec

import anyio

from roomcast.core.settings import Settings
from roomcast.observe import logging as logs
from roomcast.wiring.copies import back_up_store, restore_store
from roomcast.wiring.house import House, house
from roomcast.wiring.outside import StartError, new_id

__all__ = ["House", "StartError", "back_up_store", "house", "new_id", "restore_store", "run"]

SWITCH_INTERVAL_S = 0.0005


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


def _ready_line(running: House) -> str:
    return (
        f"roomcast {version('roomcast')} is ready on {running.url} · model: {running.upstream} · store: {running.store}"
    )


def _has_uvloop() -> bool:
    return find_spec("uvloop") is not None
