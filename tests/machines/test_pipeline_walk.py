"""Random walks through the whole pipeline in memory: what must hold whatever happens, and in whatever order.

Viewers ask, cancel, stall, drip, leave and come back, while the store fails and recovers, other
writers append, and the log is renamed. In the end everybody reads and the store works, and then:
each command has one reply, each viewer's coverage is consecutive from where it was put last, each
response has one ending and no output behind its cancel, and nothing is left in any line.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import anyio
import pytest

from roomcast.core.errors import StorageFull, StorageUnavailable
from roomcast.core.events import encode_events
from roomcast.core.limits import Limits
from roomcast.core.ports import READ_BYTES, Append, Committed, Conflict, Events, Expired, Finish
from roomcast.storage import MemoryStore
from tests.support import virtual_time
from tests.support.holding import assert_consecutive, assert_each_response_ended_once
from tests.support.rig import FaultyStore, Rig, Step, Viewer, a_rig

ROOM = "lobby"
STEPS = 120


class SlowStore(FaultyStore):
    """Takes a different moment for each append and each read."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice

    async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
        await anyio.sleep(self.dice.random() / 50)
        return await super().append(batches)

    async def read(self, room: str, after: int, limit: int, limit_bytes: int = READ_BYTES) -> Events | Expired:
        await anyio.sleep(self.dice.random() / 50)
        return await super().read(room, after, limit, limit_bytes)

    async def append_as_another(self, room: str) -> None:
        """Be the other writer, who is first."""
        head = await self.head(room)
        assert head is not None
        event = {"room": room, "seq": head.seq + 1, "at": 1, "type": "room.updated"}
        batch = Append(room, head.epoch, head.seq, encode_events([event]), unfinished=True)
        await MemoryStore.append(self, [batch])


class Walk:
    """One walk.

    Attributes:
        sent: Every command, with who sent it.
    """

    def __init__(self, rig: Rig, store: SlowStore, dice: random.Random) -> None:
        self.rig = rig
        self.store = store
        self.dice = dice
        self.viewers = [rig.viewer(f"viewer-{number}") for number in range(4)]
        self.sent: list[tuple[Viewer, str]] = []
        self.renamed = 0

    def send(self, viewer: Viewer, kind: str, **fields: object) -> None:
        self.sent.append((viewer, viewer.send(kind, ROOM, **fields)))

    async def step(self) -> None:
        """Let one thing happen."""
        viewer, roll = self.dice.choice(self.viewers), self.dice.random()
        if roll < 0.25:
            self.send(viewer, "message.create", content="hello", respond=self.dice.choice(["never", "always"]))
        elif roll < 0.35:
            self.send(viewer, "response.cancel")
        elif roll < 0.50:
            viewer.socket.stall()
        elif roll < 0.60:
            viewer.socket.read_on(self.dice.randrange(3_000))
        elif roll < 0.70:
            viewer.socket.room_bytes = 0
            viewer.socket.read_on()
        elif roll < 0.75:
            self.rig.tick()
        elif roll < 0.80:
            self.store.fail_with = self.dice.choice([StorageFull("full"), StorageUnavailable("gone")])
        elif roll < 0.90:
            self.store.fail_with = None
        elif roll < 0.93:
            self.send(viewer, "room.leave")
            self.send(viewer, "room.join", on_slow=self.dice.choice(["coalesce", "snapshot"]))
        elif roll < 0.95:
            self.renamed += 1
            self.store.rename(ROOM, f"ep_{self.renamed}")
        else:
            await self.store.append_as_another(ROOM)

    async def come_to_rest(self) -> None:
        """Everything works again, everybody reads, and everything is over."""
        self.store.fail_with = None
        for viewer in self.viewers:
            viewer.socket.read_on()
        with anyio.fail_after(300):
            for viewer, command_id in self.sent:
                await viewer.reply_to(command_id)
            await self.viewers[0].ask(ROOM, "whoever was first is known now", respond="never")
            while self.rig.room(ROOM).state.unfinished:  # noqa: ASYNC110  # on virtual time
                await anyio.sleep(1)
            last = await self.viewers[0].ask(ROOM, "the end", respond="never")
            for viewer in self.viewers:
                await viewer.until(lambda got: got.get("seq") == last["seq"] and got["type"] == "item.created")


def assert_each_command_was_answered_once(walk: Walk) -> None:
    replies = Counter(
        (viewer.member.id, got["id"]) for viewer in walk.viewers for got in viewer.received if got["type"] == "reply"
    )
    assert {replies[viewer.member.id, command_id] for viewer, command_id in walk.sent} == {1}


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_everybody_is_answered_and_nobody_misses_or_repeats_anything(seed: int) -> None:
    dice = random.Random(seed)
    limits = Limits(
        tail_events=dice.choice([3, 20, 10_000]),
        read_events=dice.choice([2, 1_000]),
        batch_bytes=dice.choice([500, 256 * 1024]),
        idle_room_s=2,
    )

    def script() -> list[Step]:
        words: list[Step] = [
            step for number in range(dice.randrange(1, 30)) for step in (f"{number} ", dice.random() / 20)
        ]
        return [*words, Finish("completed")] if dice.random() < 0.8 else words

    async def scenario() -> None:
        store = SlowStore(dice)
        async with a_rig(*[script() for _ in range(6)], store=store, limits=limits) as rig:
            await rig.viewer("first").join(ROOM)
            walk = Walk(rig, store, dice)
            for viewer in walk.viewers:
                walk.send(viewer, "room.join", on_slow=dice.choice(["coalesce", "snapshot"]))
            for _ in range(STEPS):
                await anyio.sleep(dice.random() / 20)
                await walk.step()
            await walk.come_to_rest()
            assert_each_command_was_answered_once(walk)
            for viewer in walk.viewers:
                assert_consecutive(viewer)
            await assert_each_response_ended_once(store, ROOM)
            room = rig.room(ROOM)
            assert (room.idle, room.backlog_bytes, rig.scheduler.running) == (True, 0, 0)

    virtual_time.run(scenario())
