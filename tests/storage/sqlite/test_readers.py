"""Tests of roomcast/storage/sqlite/readers.py."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import anyio
import pytest

from roomcast.core.errors import StorageDamaged, StorageUnavailable
from roomcast.storage.sqlite.connections import connect_reader
from roomcast.storage.sqlite.damage import DamageAlarm
from roomcast.storage.sqlite.readers import Readers
from tests.storage.sqlite.files import database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def readers(tmp_path: Path) -> AsyncGenerator[Readers]:
    path = tmp_path / "db"
    with database(path):
        readers = Readers([connect_reader(path), connect_reader(path)], path=path, alarm=DamageAlarm(path))
        yield readers
        await readers.close()


class Gate:
    """A query that starts, and ends when it is let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()

    def __call__(self, connection: sqlite3.Connection) -> int:
        self.started.set()
        assert self.released.wait(10)
        return id(connection)


async def test_each_query_that_runs_has_a_connection_to_itself(readers: Readers) -> None:
    gates = [Gate(), Gate(), Gate()]
    used: dict[Gate, int] = {}

    async def run(gate: Gate) -> None:
        used[gate] = await readers.run(gate)

    async with anyio.create_task_group() as tasks:
        for gate in gates:
            tasks.start_soon(run, gate)
        for gate in gates[:2]:
            assert await anyio.to_thread.run_sync(gate.started.wait, 10)
        assert not gates[2].started.is_set()  # there are two connections
        for gate in gates:
            gate.released.set()
    assert used[gates[0]] != used[gates[1]]
    assert used[gates[2]] in (used[gates[0]], used[gates[1]])


async def test_a_query_that_fails_gives_its_connection_back(readers: Readers) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            await readers.run(fail)
    assert await readers.run(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)


async def test_what_sqlite_raises_comes_out_as_ours(readers: Readers) -> None:
    def read_only(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM beats")

    with pytest.raises(StorageUnavailable, match="db: attempt to write a readonly database"):
        await readers.run(read_only)


async def test_damage_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"this is no database" * 1_000)
    alarm = DamageAlarm(path)
    readers = Readers([connect_reader(path)], path=path, alarm=alarm)
    with pytest.raises(StorageDamaged, match=str(path)):
        await readers.run(lambda connection: connection.execute("SELECT count(*) FROM events").fetchone())
    assert str(path) in str(alarm.damage)
    await readers.close()


async def test_what_one_query_misses_is_no_damage_of_the_file(tmp_path: Path) -> None:
    path, alarm = tmp_path / "db", DamageAlarm(tmp_path / "db")

    def miss(_: sqlite3.Connection) -> None:
        raise StorageDamaged("room lobby: a hole")

    with database(path):
        readers = Readers([connect_reader(path)], path=path, alarm=alarm)
        with pytest.raises(StorageDamaged, match="a hole"):
            await readers.run(miss)
        assert alarm.damage is None
        await readers.close()


async def test_connections_are_exchanged_once_no_query_runs(readers: Readers, tmp_path: Path) -> None:
    gate = Gate()
    fresh = [connect_reader(tmp_path / "db"), connect_reader(tmp_path / "db")]
    names: list[int] = []

    def reopen(there: Sequence[sqlite3.Connection]) -> Sequence[sqlite3.Connection]:
        assert gate.released.is_set()
        for connection in there:
            connection.close()
        return fresh

    async def ask() -> None:
        names.append(await readers.run(gate))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.to_thread.run_sync(gate.started.wait, 10)
        tasks.start_soon(anyio.to_thread.run_sync, readers.exchange, reopen)
        await anyio.wait_all_tasks_blocked()
        gate.released.set()
    tasks_after = [await readers.run(id) for _ in range(2)]
    assert set(tasks_after) == {id(connection) for connection in fresh}
    assert names[0] not in tasks_after


async def test_closing_waits_for_reads_and_refuses_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with database(path):
        readers = Readers([connect_reader(path), connect_reader(path)], path=path, alarm=DamageAlarm(path))
        await _close_while_reading(readers)


async def _close_while_reading(readers: Readers) -> None:
    gates = [Gate() for _ in range(20)]  # two run, the others wait for their turn
    ended: list[str] = []

    async def run(gate: Gate) -> None:
        await readers.run(gate)
        ended.append("read")

    async def close() -> None:
        await readers.close()
        ended.append("close")

    async with anyio.create_task_group() as tasks:
        for gate in gates:
            tasks.start_soon(run, gate)
        for gate in gates[:2]:
            assert await anyio.to_thread.run_sync(gate.started.wait, 10)
        tasks.start_soon(close)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(StorageUnavailable, match="the store is closed"):
            await readers.run(lambda connection: None)
        assert ended == []
        for gate in gates:
            gate.released.set()
    assert ended == ["read"] * 20 + ["close"]
