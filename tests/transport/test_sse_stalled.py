"""Tests of roomcast/transport/sse.py with readers that do not read, or read slowly. Real sockets, on both loops.

The letters are those of the fault catalogue.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from roomcast.core.limits import Limits
from tests.support.rig import said
from tests.transport.readers import PATIENCE_S, EventReader, RawSocket, SseEvent, coverage, events_of, text_of
from tests.transport.serving import Served, eventually, nobody_follows, serving

pytestmark = pytest.mark.anyio

SMALL = Limits(
    high_water_bytes=16_384,
    low_water_bytes=4_096,
    notsent_lowat_bytes=4_096,
    write_deadline_s=0.5,
    close_timeout_s=0.3,
)
"""A server that loses patience soon."""
LENIENT = replace(SMALL, write_deadline_s=600.0)
"""One that does not, for what ends a reader for another reason."""


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """What we serve on, and what we serve on where uvloop is not installed."""
    return "asyncio", {"use_uvloop": request.param}


async def stalled(served: Served, query: str = "") -> RawSocket:
    """A reader that asks, and then never reads."""
    sock = await served.raw(
        f"GET /v1/rooms/lobby/events{query} HTTP/1.1", f"Host: {served.host}", "", receive_buffer_bytes=4_096
    )
    await eventually(lambda: served.subscribers("lobby"))
    return sock


async def freed(served: Served, left: int) -> None:
    """Wait until only `left` readers and their sockets are there, though the stalled one reads nothing yet."""
    await eventually(lambda: served.subscribers("lobby") <= left and served.sockets <= left)


async def was_cut(sock: RawSocket) -> bool:
    """Read what the kernel still had; whether the response was cut rather than ended."""
    try:
        return not (await sock.read_all()).endswith("\r\n0\r\n\r\n")
    except ConnectionResetError:
        return True


async def test_n1_a_reader_that_stops_reading_is_freed_and_harms_nobody() -> None:
    async with serving(limits=SMALL) as served:
        got: list[SseEvent] = []
        held = 0
        with await stalled(served) as sock:
            async with served.events("lobby") as other, anyio.create_task_group() as tasks:
                await other.next()

                async def read_on() -> None:
                    while coverage(got)[-1:] != [61]:
                        got.append(await other.next())

                tasks.start_soon(read_on)
                for number in range(60):
                    await served.say("lobby", f"{number} " + "x" * 10_000)
                    held = max(held, *(pump.sink.buffered_bytes() for pump in pumps(served)))
                await freed(served, 1)
            assert coverage(got) == list(range(2, 62))
            assert SMALL.high_water_bytes <= held < SMALL.high_water_bytes + SMALL.batch_bytes
            assert served.observer.counts["roomcast_slow_viewers_total abort"] == 1
            assert await was_cut(sock)
        await nobody_follows(served)


async def test_n2_a_reader_that_refuses_only_a_little_is_freed_too() -> None:
    """What it does not take would fit into our buffers for ever: no high water is reached, and no ping is answered."""
    async with serving(limits=Limits(write_deadline_s=0.5, notsent_lowat_bytes=4_096)) as served:
        with await stalled(served):
            with anyio.fail_after(PATIENCE_S):
                while not max(pump.sink.buffered_bytes() for pump in pumps(served)):
                    await served.say("lobby", "x" * 10_000)
            await freed(served, 0)
            assert served.observer.counts["roomcast_slow_viewers_total abort"] == 1
            await nobody_follows(served)


async def test_n3_a_slow_reader_is_kept_and_misses_nothing() -> None:
    """It takes a little all the time: longer than the deadline in sum, never as long without progress."""
    limits = replace(SMALL, write_deadline_s=4.0)  # we may be kept waiting for some of it
    words = [f"{number} " + "w" * 300 for number in range(400)]
    steps = [step for word in words for step in (word, 0.003)]
    async with serving(said(*steps), limits=limits) as served:
        await served.say("lobby", "first")
        cursor = f"{served.hub.room('lobby').epoch}:2"
        with await stalled(served, f"?after={cursor}") as sock:
            await served.ask("lobby")
            received, started_s = bytearray(), anyio.current_time()
            with anyio.fail_after(3 * PATIENCE_S):
                while b'"type":"response.completed"' not in received:
                    received += await sock.read(1_024)
                    if anyio.current_time() - started_s < 1.5 * limits.write_deadline_s:
                        await anyio.sleep(0.05)
        got = await parsed(bytes(received))
        assert coverage(got) == list(range(3, events_of(got)[-1].data["seq"] + 1))
        assert text_of(got) == "".join(words)
        assert "subscriber.lagging" in [event.data["type"] for event in got]
        assert served.observer.counts["roomcast_slow_viewers_total abort"] == 0
        await nobody_follows(served)


async def test_a_reader_that_would_rather_go_than_lag_goes() -> None:
    async with serving(limits=LENIENT) as served:
        with await stalled(served, "?on_slow=disconnect"):
            for _ in range(60):
                await served.say("lobby", "x" * 10_000)
            await nobody_follows(served)
            assert served.observer.counts["roomcast_slow_viewers_total disconnect"] == 1


async def test_l1_a_drain_does_not_wait_for_a_reader_that_does_not_read() -> None:
    async with serving(limits=LENIENT) as served:
        with await stalled(served) as sock:
            for _ in range(40):
                await served.say("lobby", "x" * 10_000)
            served.end_all()
            with anyio.fail_after(PATIENCE_S):
                await freed(served, 0)
            assert await was_cut(sock)
        await nobody_follows(served)


async def test_a_server_in_a_hurry_leaves_no_stalled_socket_behind() -> None:
    """Past its patience, the HTTP server cancels what still runs, and looks after no socket."""
    async with serving(limits=LENIENT) as served:
        with await stalled(served):
            for _ in range(40):
                await served.say("lobby", "x" * 10_000)
            for task in list(served.server.server_state.tasks):
                task.cancel()
            await freed(served, 0)
        await nobody_follows(served)


def pumps(served: Served) -> list[Any]:
    return [subscriber.pump for subscriber in served.desk.fanout(served.hub.room("lobby")).subscribers]


async def parsed(raw: bytes) -> list[SseEvent]:
    """The events of a whole response as it came from the socket, chunks and all."""
    body, rest = bytearray(), raw.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    lines = body.decode().splitlines()

    class Recorded:
        async def aiter_lines(self) -> Any:
            for line in lines:
                yield line

    return await EventReader(Recorded()).rest()  # type: ignore[arg-type]  # all that it asks for is lines


async def test_a_reader_that_lagged_is_told_who_came_meanwhile() -> None:
    """The snapshot of its reset does not say; the diff went out while it did not read."""
    async with serving(limits=LENIENT) as served:
        with await stalled(served, "?on_slow=snapshot&member=ann") as sock:
            for _ in range(40):
                await served.say("lobby", "x" * 10_000)
            async with served.events("lobby", member="bob", items="0"):
                await told_who_is_there(served)
                await eventually(lambda: served.observer.counts["roomcast_slow_viewers_total snapshot"])
                received = ""
                while '"type":"presence.updated"' not in received.partition('"reason":"lagging"')[2]:
                    received += (await sock.read()).decode()
        assert '"id":"bob"' in received.rpartition('"type":"presence.updated"')[2]


async def told_who_is_there(served: Served) -> None:
    """Wait until both are there, and let the fan-out tell it, as the wheel does once a second."""
    await eventually(lambda: served.subscribers("lobby") == 2)
    served.desk.fanout(served.hub.room("lobby")).tick(0.0)
