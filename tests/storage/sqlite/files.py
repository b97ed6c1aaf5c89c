"""Databases for tests: made, opened and closed as the store does it, without its threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from roomcast.storage.sqlite.connections import connect_writer
from roomcast.storage.sqlite.schema import prepare


def open_database(path: Path) -> sqlite3.Connection:
    """A writing connection to a database with all tables."""
    return connect_writer(path, prepare=lambda connection: prepare(connection, path))


@contextmanager
def database(path: Path) -> Generator[sqlite3.Connection]:
    with closing(open_database(path)) as connection:
        yield connection
