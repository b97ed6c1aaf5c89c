"""Where logs live: adapters of the ports `EventLog`, `Rooms`, `Leases` and `Archive`.

    memory    plain Python; the reference, gone with the process
    sqlite    one file, one process; the default

All of them pass one suite, tests/conformance. What an append means is in appends.py, and
what is kept in retaining.py, once; an adapter adds where it puts things and what survives.

Not here: who may append (room/), and when receipts, checkpoints and items are due (core/).
"""

from __future__ import annotations

from typing import Protocol

from roomcast.core.ports import Archive, EventLog, Leases, Rooms
from roomcast.storage.memory import MemoryStore, open_memory
from roomcast.storage.retaining import keep_trimming
from roomcast.storage.sqlite import Space, SqliteStore, StoreInUse, StoreUnusable, back_up, open_sqlite, restore

__all__ = [
    "MemoryStore",
    "Space",
    "SqliteStore",
    "Store",
    "StoreInUse",
    "StoreUnusable",
    "back_up",
    "keep_trimming",
    "open_memory",
    "open_sqlite",
    "restore",
]


class Store(EventLog, Rooms, Leases, Archive, Protocol):
    """An adapter that is all four ports at once, so that one append can serve them together."""
