"""When the writer moves its log into the database; with test_writer.py, the tests of writer.py."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from roomcast.storage.sqlite import writer
from tests.storage.sqlite.opened_writer import Opened, denying, large

pytestmark = pytest.mark.anyio


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncGenerator[Opened]:
    opened = Opened(tmp_path / "db")
    yield opened
    await opened.writer.close()


def moved(path: Path, table: str) -> bool:
    """Whether the database itself, without its log, has rows in this table."""
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as without_log:
        return bool(without_log.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_a_checkpoint_comes_behind_so_many_commits(opened: Opened) -> None:
    for number in range(writer.CHECKPOINT_COMMITS):
        assert not moved(opened.path, "beats")
        await opened.writer.submit(f"n{number:03}")
    await opened.writer.submit("was answered behind the checkpoint of the one before")
    assert moved(opened.path, "beats")


async def test_a_large_log_is_moved_behind_fewer_commits(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_BYTES", 100_000)
    await opened.writer.submit(large)
    for number in range(1, writer.FEWEST_COMMITS):
        assert not moved(opened.path, "checkpoints")
        await opened.writer.submit(f"n{number}")
    await opened.writer.submit("was answered behind the checkpoint of the one before")
    assert moved(opened.path, "checkpoints")


async def test_a_checkpoint_that_fails_is_told_and_loses_nothing(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_COMMITS", 1)
    deny = denying(sqlite3.SQLITE_PRAGMA, "wal_checkpoint")
    with capture_logs() as lines:
        await opened.writer.submit(lambda connection: connection.set_authorizer(deny))
        await opened.writer.submit("behind it")
    assert [line["event"] for line in lines][:1] == ["wal_checkpoint_failed"]
    assert opened.nodes() == ["behind it"]


async def test_a_log_that_cannot_be_looked_at_holds_nothing_up(opened: Opened) -> None:
    opened.writer._wal = opened.path / "no folder" / "db-wal"  # pyright: ignore[reportPrivateUsage]  # needs no root
    for number in range(writer.FEWEST_COMMITS + 2):
        await opened.writer.submit(f"n{number:02}")
    assert len(opened.nodes()) == writer.FEWEST_COMMITS + 2
