"""How long a viewer waits that comes late or comes back, while an answer of 10,000 tokens is under way.

Late: from sending `room.join` to having the whole reply, with the snapshot. Resume: from sending `room.join` with a
cursor to having the newest event, for the newest 1,000 events and for all. One viewer at a time, on an open connection,
by a Python client.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter

import anyio
import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.benchmarks.contenders import contender
from tests.benchmarks.plan import Plan
from tests.benchmarks.report import Figure

__all__ = ["measure"]

TOKENS, RATE = 10_000, 4_000
RESUMED = 1_000
TIMES = 15
ROOM = "late"


def measure(plan: Plan) -> None:
    """Fill a room, hold the answer, and join again and again."""
    plan.report.step(f"joining, {TOKENS:,} tokens of an answer under way: roomcast")
    with contender("roomcast", plan.tools, plan.core) as server:
        emission = ["-N", str(TOKENS), "-r", str(RATE)]
        with server.tools.holding(server.model_fd, *server.options(1, ROOM), *emission) as held:
            url = f"ws://127.0.0.1:{server.port}/v1/ws"
            late_ms = anyio.run(_late, url)
            newest_ms = anyio.run(_resume, url, held.seq - RESUMED, held.seq)
            all_ms = anyio.run(_resume, url, 0, held.seq)
    assert held.seq > RESUMED, f"only {held.seq} events came of {TOKENS} tokens"
    report = plan.report
    report.add(Figure("late_join_ms", f"late join, {TOKENS:,} tokens of history", late_ms, "ms", target=20.0))
    report.add(Figure("resume_ms", f"resume of {RESUMED:,} events", newest_ms, "ms", target=10.0))
    report.add(Figure("resume_all_ms", f"resume of all {held.seq:,} events", all_ms, "ms"))


async def _late(url: str) -> float:
    """Join without a cursor; the median in milliseconds."""
    took_s: list[float] = []
    for _ in range(TIMES):
        async with _connected(url) as connection:
            began_s = perf_counter()
            await _join(connection)
            message = await connection.recv(decode=False)
            took_s.append(perf_counter() - began_s)
        assert message.count(b"@") == TOKENS, "the snapshot has not the whole text"
    return 1000 * median(took_s)


async def _resume(url: str, after: int, head: int) -> float:
    """Join with a cursor and hear everything up to `head`; the median in milliseconds."""
    async with _connected(url) as connection:
        await _join(connection)
        epoch = orjson.loads(await connection.recv(decode=False))["result"]["epoch"]
    took_s: list[float] = []
    for _ in range(TIMES):
        async with _connected(url) as connection:
            began_s = perf_counter()
            await _join(connection, after={"epoch": epoch, "seq": after})
            reply = orjson.loads(await connection.recv(decode=False))
            assert reply["result"]["resumed"], reply
            while orjson.loads(await connection.recv(decode=False)).get("seq", 0) < head:
                pass
            took_s.append(perf_counter() - began_s)
    return 1000 * median(took_s)


def _connected(url: str) -> connect:
    return connect(url, compression=None, max_size=None, proxy=None)


async def _join(connection: ClientConnection, **fields: object) -> None:
    await connection.send(orjson.dumps({"type": "room.join", "id": "join", "room": ROOM, **fields}), text=True)
