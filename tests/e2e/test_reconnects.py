"""Coming back, joining late and cancelling at any moment of a stream (N7, L4, L8, L9), over real sockets.

The auditor holds what every viewer was sent against the log.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.e2e.outcomes import HUNG_UP_MS
from tests.support.hostile_upstream import HostileUpstream, Script, Until, stream
from tests.support.model_streams import responses_stream
from tests.support.reference import Json, audit_log
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed
from tests.support.visitor import Visitor, audit, stored
from tests.support.wire_client import Heard, WireClient, wire_client

pytestmark = pytest.mark.anyio

SEED = 20_261_122


# ---- coming back and joining, as often as one likes, in one stream (N7, L8, L9) ---------------

VISITORS, RETURNS = 15, 22
SWITCHERS, SWITCHES = 10, 100
SETTINGS = {"ROOMCAST_DEMO__FAULTS": "true", "ROOMCAST_LIMITS__COMMANDS_BURST": "1000"}
ENDLESS = "!fault drip every_ms=8\ntell me a long story"
"""Goes on until it is cancelled, so that all of it happens in one stream however slow the machine is."""


class Cursors:
    """Where to go on from: the newest place, or one before it, or none."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._stood: list[Json] = []

    def choose(self, newest: Json | None) -> Json | None:
        """One of them, by chance."""
        roll = self._chance.random()
        if newest is None or roll < 0.2:
            return None
        # Whoever went back and has not caught up is behind some of them, and may not claim to know more than it does.
        self._stood = [*(stood for stood in self._stood if stood["seq"] < newest["seq"]), dict(newest)]
        return self._chance.choice(self._stood) if roll < 0.6 else dict(newest)


async def returns(visitor: Visitor, chance: random.Random, arrived: anyio.Event) -> None:
    """Be cut off at random moments, and come back each time with some cursor; then stay to the end."""
    cursors = Cursors(chance)
    for number in range(RETURNS + 1):
        after = cursors.choose(visitor.cursor)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(visitor.visit, after=after, begin_anew=after is None))
            if number == RETURNS:
                await visitor.until_here()
                arrived.set()
                await visitor.until_type("response.cancelled")
            elif chance.random() < 0.15:
                await anyio.sleep(chance.random() * 0.01)  # somewhere in the handshake, or in the join
            else:
                await visitor.until_here()
                await visitor.until_heard(chance.randrange(40))
            tasks.cancel_scope.cancel()


async def switches(visitor: Visitor, chance: random.Random, arrived: anyio.Event) -> None:
    """Leave and join again and again on one connection, without waiting for the answers; then stay to the end."""
    cursors = Cursors(chance)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit)
        await visitor.until_here()
        for number in range(SWITCHES):
            await visitor.until_heard(chance.randrange(12))
            visitor.leave_and_join(cursors.choose(visitor.cursor))
            if number % 10 == 0:
                visitor.leave_and_join(cursors.choose(visitor.cursor))
        await visitor.until_type("reply", times=1 + 2 * (SWITCHES + SWITCHES // 10))
        arrived.set()
        await visitor.until_type("response.cancelled")
        tasks.cancel_scope.cancel()


@pytest.mark.timeout(600)
async def test_N7_L8_300_returns_and_1000_joins_in_one_stream_lose_and_repeat_nothing(tmp_path: Path) -> None:
    frames = dict[bytes, bytes]()
    with roomcast_server(tmp_path, environ=SETTINGS) as server:
        returning = [Visitor(server.port, "arena", f"comes-{n}", frames=frames) for n in range(VISITORS)]
        switching = [Visitor(server.port, "arena", f"joins-{n}", frames=frames) for n in range(SWITCHERS)]
        async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="asker") as asker:
            await asker.join("arena")
            response_id = (await asker.ask("arena", ENDLESS))["response_id"]
            async with anyio.create_task_group() as all_of_them:
                arrived = [anyio.Event() for _ in (*returning, *switching)]
                for visitor, done in zip(returning, arrived, strict=False):
                    all_of_them.start_soon(returns, visitor, random.Random(f"{SEED} {visitor.name}"), done)
                for visitor, done in zip(switching, arrived[VISITORS:], strict=True):
                    all_of_them.start_soon(switches, visitor, random.Random(f"{SEED} {visitor.name}"), done)
                for done in arrived:
                    await done.wait()
                reply = await asker.command("response.cancel", room="arena", response_id=response_id)
                assert reply["result"]["status"] == "cancelling", "all of it was in one stream"
            tasks.cancel_scope.cancel()
        assert_unharmed(server)
    log = await stored(tmp_path, "arena")
    assert audit_log(log, at_rest=True) == []
    assert audit([*returning, *switching], log, complete=True) == []
    assert sum(visitor.breaks for visitor in returning) > 300
    assert sum(visitor.joins for visitor in switching) > 1_000
    visits = [visit for visitor in returning for visit in visitor.visits]
    resumed = [visit.joined["resumed"] for visit in visits if visit.joined and visit.after]
    assert all(resumed), "the window holds all of the stream"
    assert len(resumed) > VISITORS * RETURNS / 2
    assert sum(visit.joined is None for visit in visits) > 0, "some were cut off before they had joined"


# ---- a cancel at every index (L4) ------------------------------------------------------------

TEXTS = [f"t{number} " for number in range(40)]
OPENING = 4
"""Events of the vendor before the first piece of text."""


@dataclass
class Case:
    """A room whose answer is cancelled when the model has said so much.

    Attributes:
        index: How many pieces of text are there when the cancel is sent; -1 is before the model has answered at all,
            and one more than there are is with all but the last event.
        races: Whether the model goes on at the same instant; else it is silent until the cancel is accepted.
    """

    index: int
    races: bool
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def room(self) -> str:
        return f"at-{self.index}-{'racing' if self.races else 'held'}"

    @property
    def text(self) -> str:
        """What is there when the cancel is sent."""
        return "".join(TEXTS[: max(0, self.index)])

    @property
    def script(self) -> Script:
        """What the model does."""
        if self.index < 0:
            return [Until(self.go_on), *stream(*responses_stream(*TEXTS))]
        parts = responses_stream(*TEXTS)
        cut = len(parts) - 1 if self.index > len(TEXTS) else OPENING + self.index
        return stream(*parts[:cut], Until(self.go_on), *parts[cut:])


CASES = [Case(index, races) for races in (False, True) for index in range(-1, len(TEXTS) + 2)]


async def cancels(case: Case, asker: WireClient, viewers: list[Visitor], response_id: str) -> Heard:
    """Cancel when the model has said so much; returns the terminal."""
    await asker.until_type("response.in_progress", response_id=response_id)
    await asker.until(lambda _: asker.text(response_id) == case.text)
    if case.races:
        case.go_on.set()
        await anyio.sleep(random.Random(case.room).random() * 0.01)  # by chance, it comes too late
    reply = await asker.command("response.cancel", room=case.room, reason="enough")
    case.go_on.set()
    ended = await asker.ending(response_id)
    for viewer in viewers:
        await viewer.until_seq(ended["seq"])
    if reply["ok"]:
        assert reply["result"] == {"response_id": response_id, "status": "cancelling"}
        assert ended["type"] == "response.cancelled"
        assert (ended["receipt"]["by"]["id"], ended["receipt"]["reason"]) == ("asker", "enough")
        assert ended["receipt"]["upstream_closed_ms"] <= HUNG_UP_MS
    else:  # it came too late
        assert case.races, reply
        assert (reply["error"]["code"], ended["type"]) == ("no_running_response", "response.completed")
    said = asker.text(response_id)
    assert said.startswith(case.text)
    assert "".join(TEXTS).startswith(said)
    assert case.races or said == case.text, "nothing follows a cancel"
    return ended


async def cancels_again(case: Case, asker: WireClient, ended: Heard) -> None:
    """What has ended stays as it ended, and is said to be so."""
    response_id = ended["response_id"]
    late = await asker.command("response.cancel", room=case.room, response_id=response_id)
    assert late["result"] == {"response_id": response_id, "status": ended["type"].removeprefix("response.")}
    nothing = await asker.command("response.cancel", room=case.room)
    assert nothing["error"]["code"] == "no_running_response"


async def plays(case: Case, upstream: HostileUpstream, server: Server, turn: anyio.Lock) -> list[Visitor]:
    """One room: somebody asks and cancels, somebody watches, and somebody comes in at the last moment."""
    early, late = Visitor(server.port, case.room, "early"), Visitor(server.port, case.room, "late")
    async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="asker") as asker:
        await asker.join(case.room)
        tasks.start_soon(early.visit)
        await early.until_here()
        async with turn:  # requests get their scripts in the order in which they come
            upstream.script(case.script)
            count = len(upstream.requests)
            response_id = (await asker.ask(case.room, "hello"))["response_id"]
            await upstream.asked(count + 1)
        tasks.start_soon(late.visit)
        await late.until_here()
        ended = await cancels(case, asker, [early, late], response_id)
        await cancels_again(case, asker, ended)
        tasks.cancel_scope.cancel()
    return [early, late]


@pytest.mark.timeout(600)
async def test_L4_a_cancel_at_every_index_ends_once_and_the_same_for_all(tmp_path: Path) -> None:
    turn, viewers = anyio.Lock(), dict[str, list[Visitor]]()

    async def one(case: Case, upstream: HostileUpstream, server: Server, slots: anyio.Semaphore) -> None:
        async with slots:
            viewers[case.room] = await plays(case, upstream, server, turn)

    async with HostileUpstream() as upstream:
        environ = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": upstream.base_url}
        with roomcast_server(tmp_path, environ=environ) as server:
            async with anyio.create_task_group() as tasks:
                slots = anyio.Semaphore(16)
                for case in CASES:
                    tasks.start_soon(one, case, upstream, server, slots)
            await anyio.to_thread.run_sync(assert_unharmed, server)
    endings, hung_up_ms = Counter[str](), list[int]()
    for case in CASES:
        log = await stored(tmp_path, case.room)
        assert audit_log(log, at_rest=True) == []
        assert audit(viewers[case.room], log, complete=True) == []
        endings[log[-1]["type"]] += 1
        hung_up_ms += [log[-1]["receipt"]["upstream_closed_ms"]] if "receipt" in log[-1] else []
    assert endings.keys() == {"response.cancelled", "response.completed"}, endings
    assert statistics.median(hung_up_ms) <= 1_000
