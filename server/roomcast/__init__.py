"""One model stream, a whole room.

A room is a log; everything else is a cursor. A generation appends to a room's log; viewers,
readers of Server-Sent Events, late joiners and resuming clients each read it from a position.

    OpenAI ─► upstream/ ─► generation/ ─► room/ ─► subscriber/ ─► transport/ ─► sockets
              chunk        event          seq       frames         bytes
                                           │
                                       storage/  (committed before anybody sees it)

    cli/            one file per verb
    config/         flag > environment > file > default: the only reader of the environment
    wiring/         builds everything, owns the task tree

    core/           the rules, without any I/O
    dialects/       events of the log ⇄ other vocabularies

    upstream/       the model
    generation/     a piece of the model's output becomes an intent
    room/           an intent becomes an event with a number
    subscriber/     a number becomes payloads for each view
    transport/      payloads become bytes on sockets

    storage/        the log and the archive
    observe/        logs and metrics
    client/         the Python client, which the command line uses as well
    web/            the page, and the client for browsers

To use it from a program:

    async with roomcast.connect("http://127.0.0.1:8080", room="lobby") as room: ...    client/room.py
    async with roomcast.serve(settings) as server: ...                                wiring/

Importing the package is cheap: both names are resolved on their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomcast.client import connect as connect
    from roomcast.wiring import house as serve

__all__ = ["__version__", "connect", "serve"]

__version__ = "0.1.0"

_HOMES = {"connect": ("roomcast.client", "connect"), "serve": ("roomcast.wiring", "house")}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
