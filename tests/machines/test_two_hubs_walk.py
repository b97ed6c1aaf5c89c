"""Random walks of two hubs on one log: whoever writes, pauses or dies, there is one log, and everybody has it.

Viewers of both ask and cancel while nodes are paused for moments or for longer than their lease,
and their store fails. In the end everything works, and then: one log, in which each response has one ending
and no output behind its cancel; each viewer's coverage is consecutive; all have the same text; and
nobody runs or holds anything.
"""

from __future__ import annotations

import random

import anyio
import pytest

from roomcast.core.errors import StorageUnavailable
from roomcast.core.ports import Finish
from tests.support import virtual_time
from tests.support.faulty_store import FaultyStore
from tests.support.holding import assert_consecutive, assert_each_response_ended_once
from tests.support.pausable_store import Pausable
from tests.support.rig import Rig, Step, Viewer, a_rig

ROOM = "lobby"
STEPS = 60


class Walk:
    """One walk."""

    def __init__(self, rigs: list[Rig], dice: random.Random) -> None:
        self.rigs = rigs
        self.dice = dice
        self.viewers = [rig.viewer(f"{rig.node}{number}") for rig in rigs for number in range(2)]
        self.sent: list[tuple[Viewer, str]] = []

    def send(self, viewer: Viewer, kind: str, **fields: object) -> None:
        self.sent.append((viewer, viewer.send(kind, ROOM, **fields)))

    async def step(self) -> None:
        """Let one thing happen."""
        viewer, roll = self.dice.choice(self.viewers), self.dice.random()
        store = self.dice.choice(self.rigs).store
        assert isinstance(store, Pausable)
        if roll < 0.45:
            self.send(viewer, "message.create", content="hello", respond=self.dice.choice(["never", "always"]))
        elif roll < 0.60:
            self.send(viewer, "response.cancel")
        elif roll < 0.70:
            store.pause()
        elif roll < 0.85:
            store.awake.set()
        elif roll < 0.90:
            store.fail_with = StorageUnavailable("gone")
        else:
            store.fail_with = None
        await anyio.sleep(self.dice.choice([0.0, 0.01, 0.3, 6.0]) * self.dice.random())

    async def come_to_rest(self) -> None:
        """Everything works again, and everything is over."""
        for rig in self.rigs:
            assert isinstance(rig.store, Pausable)
            rig.store.fail_with = None
            rig.store.awake.set()
        with anyio.fail_after(300):
            for viewer, command_id in self.sent:
                await viewer.reply_to(command_id)
            while any(rig.room(ROOM).state.unfinished for rig in self.rigs):  # noqa: ASYNC110  # on virtual time
                await anyio.sleep(1)
            last = await self.viewers[0].ask(ROOM, "the end", respond="never")
            for viewer in self.viewers:
                await viewer.until(lambda got: got.get("seq") == last["seq"] and got["type"] == "item.created")


@pytest.mark.parametrize("seed", range(20))
def test_two_hubs_make_one_log_whatever_happens_to_either(seed: int) -> None:
    dice = random.Random(seed)

    def script() -> list[Step]:
        words: list[Step] = [step for number in range(dice.randrange(1, 20)) for step in (f"{number} ", dice.random())]
        return [*words, Finish("completed")] if dice.random() < 0.8 else words

    async def scenario() -> None:
        shared = FaultyStore()
        scripts = [script() for _ in range(6)]
        async with (
            a_rig(*scripts, store=Pausable(shared), node="a", shared=True) as a,
            a_rig(*scripts, store=Pausable(shared), node="b", shared=True) as b,
        ):
            walk = Walk([a, b], dice)
            for viewer in walk.viewers:
                await viewer.join(ROOM)
            for _ in range(STEPS):
                await walk.step()
            await walk.come_to_rest()
            for viewer in walk.viewers:
                assert_consecutive(viewer)
            await assert_each_response_ended_once(shared, ROOM)
            assert len({viewer.text(ROOM) for viewer in walk.viewers}) == 1
            assert await shared.held() == []
            asked = sum(len(rig.upstream.requests) for rig in (a, b))
            started = sum(got["type"] == "response.in_progress" for got in walk.viewers[0].events(ROOM))
            assert asked <= started, "each is run by one of them at most"
            for rig in (a, b):
                assert (rig.scheduler.running, rig.room(ROOM).backlog_bytes) == (0, 0)
            assert a.room(ROOM).state.dump() == b.room(ROOM).state.dump()

    virtual_time.run(scenario())
