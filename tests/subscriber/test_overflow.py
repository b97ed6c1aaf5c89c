"""Tests of roomcast/subscriber/overflow.py: deadlines for those whose socket is full."""

from __future__ import annotations

import anyio

from roomcast.core.limits import Limits
from tests.support import virtual_time
from tests.support.rig import Rig, Viewer, a_rig


async def fill(rig: Rig, writer: Viewer, slow: Viewer) -> None:
    await writer.join("lobby")
    await slow.join("lobby")
    slow.socket.stall()
    await writer.ask("lobby", "x" * 100, respond="never")
    assert not slow.pump.writable


def ending(viewer: Viewer) -> int | None:
    """Close code of a connection that was ended."""
    return None if viewer.socket.ended is None else int(viewer.socket.ended.close_code)


def test_no_progress_until_the_deadline_ends_the_connection() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(write_deadline_s=10)) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await fill(rig, ann, slow)
            for _ in range(9):
                await anyio.sleep(1)
                rig.tick()
            assert ending(slow) is None
            await anyio.sleep(1.5)
            rig.tick()
            assert ending(slow) == 4408
            assert rig.overflow.count == 0

    virtual_time.run(scenario())


def test_a_viewer_that_reads_a_little_is_kept() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(write_deadline_s=10)) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await fill(rig, ann, slow)
            for _ in range(60):
                await anyio.sleep(1)
                slow.socket.read_on(1)
                rig.tick()
            assert ending(slow) is None

    virtual_time.run(scenario())


def test_replies_that_are_not_read_are_bounded() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(outbox_bytes=2_000)) as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await fill(rig, ann, slow)
            for _ in range(100):
                slow.send("session.ping")
                if ending(slow) is not None:
                    break
            assert ending(slow) == 4408
            assert slow.pump.outbox.statistics().size_bytes == 0

    virtual_time.run(scenario())


def test_replies_go_before_the_events_that_were_missed() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, slow = rig.viewer("ann"), rig.viewer("slow")
            await fill(rig, ann, slow)
            await ann.ask("lobby", "missed", respond="never")
            command_id = slow.send("session.ping")
            slow.socket.read_on()
            await slow.until(lambda got: got.get("seq") == 3)
            kinds = [got.get("id") or got.get("seq") for got in slow.received]
            assert kinds.index(command_id) < kinds.index(3)

    virtual_time.run(scenario())
