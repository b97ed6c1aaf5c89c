"""The store in one SQLite file, for one process.

    loop ----Write----> writer ---one transaction for all that wait---> file (WAL)
      `-----query-----> readers --------------------------------------> file, read only

    lock         one process a folder
    lives        what the last process or host may have lost, and new epochs then
    mark         the newest commit's number, beside the database
    tally        counting commits
    connections  the two kinds of connection, and their pragmas
    schema       tables, and how an older file becomes a newer one
    reserve      space on the disk for what must still be written when it is full
    appending    compare-and-append, as SQL
    queries      every read, as SQL
    trimming     letting go of old events, as SQL
    writer       the thread that commits, in groups
    readers      the connections that read, in worker threads
    damage       a file that SQLite calls damaged is written no more
    renewal      other connections, after a sync that failed
    copies       backups, and putting one back
    errors       SQLite's errors in our words
    store        all of it together

Why statements here handle many rows at once: each step of a statement gives up the
interpreter's lock, and a thread that wants it back from a busy event loop waits up to five
milliseconds (`sys.getswitchinterval`). Reading 1,000 rows one by one took half a second
beside a busy loop; the same rows packed into one take twelve milliseconds.
"""

from __future__ import annotations

from roomcast.storage.sqlite.copies import back_up, restore
from roomcast.storage.sqlite.errors import StoreInUse, StoreUnusable
from roomcast.storage.sqlite.reserve import Space
from roomcast.storage.sqlite.store import SqliteStore, open_sqlite

__all__ = ["Space", "SqliteStore", "StoreInUse", "StoreUnusable", "back_up", "open_sqlite", "restore"]
