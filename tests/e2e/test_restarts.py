"""Restarts under viewers who come back (L3, N10): nobody loses a token, and nobody comes with everybody else."""

from __future__ import annotations

import random
import resource
import statistics
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import anyio
import orjson
import pytest

from roomcast.client import Backoff, connect
from tests.support.raw_peer import TEXT, encode_frame
from tests.support.reference import audit_log
from tests.support.restarting import Serving
from tests.support.unharmed import log_lines
from tests.support.visitor import Visitor, audit, stored
from tests.support.wire_client import wire_client

pytestmark = pytest.mark.anyio

SEED = 20_261_122
ROOM = "arena"
RETRY_AFTER_S = 1.0
"""What a draining server asks its viewers to wait."""
LIVELY, CALM = (f"!fault drip every_ms={every_ms}\ntell me a long story" for every_ms in (40, 100))
"""Answers that go on until they are cancelled or interrupted, for some viewers and for many."""
UNHURRIED = dict.fromkeys(
    (
        "ROOMCAST_LIMITS__HANDSHAKE_TIMEOUT_S",
        "ROOMCAST_LIMITS__FIRST_COMMAND_TIMEOUT_S",
        "ROOMCAST_LIMITS__WRITE_DEADLINE_S",
        "ROOMCAST_LIMITS__PING_TIMEOUT_S",
    ),
    "60",
) | {"ROOMCAST_LIMITS__CLOSE_TIMEOUT_S": "20"}
"""All viewers are in one process, which a busy machine keeps waiting: nobody is to be sent away for that."""
CLOCK_S = 0.01
"""How far two readings of the loop's clock may be beside the time between them."""


async def assert_stopped_well(serving: Serving) -> None:
    """It stops, and nothing that any of its servers logged is a fault."""
    assert await anyio.to_thread.run_sync(serving.stop) == 0
    bad = [line for line in log_lines(serving.server) if line["level"] == "error" or "exception" in line]
    assert bad == []


async def asks(ws_url: str, text: str) -> None:
    """Ask, and leave: answers do not need their askers."""
    async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as asker:
        await asker.ask(ROOM, text)
        tasks.cancel_scope.cancel()


# ---- ten rounds under 200 viewers (L3) -------------------------------------------------------

ROUNDS, RAW, CLIENTS = 10, 190, 10
PROMPT = Backoff(cap_s=0.5)
"""Does not wait for longer each time that the next server is not there yet: ten rounds would take minutes."""


class Follower:
    """Who uses the project's own client, and keeps what it is told.

    Attributes:
        told: First and last number of what each event covers.
        resets: How often everything before was replaced.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[tuple[int, int]] = []
        self.resets = 0
        self.joined = anyio.Event()
        self._news = anyio.Event()

    async def follow(self, url: str) -> None:
        """Follow the room until this is cancelled."""
        async with connect(url, ROOM, member=self.name, backoff=PROMPT) as room:
            self.joined.set()
            async for event in room:
                self.resets += event.is_reset
                if event.seq is not None and event.seq_from is not None and not event.is_reset:
                    self.told.append((event.seq_from, event.seq))
                    self._news.set()
                    self._news = anyio.Event()

    async def until_seq(self, seq: int) -> None:
        """Wait until it has been told that."""
        while not self.told or self.told[-1][1] < seq:
            await self._news.wait()


@pytest.mark.timeout(600)
async def test_L3_ten_rounds_of_restart_under_200_viewers_lose_nothing(tmp_path: Path) -> None:
    frames, chance = dict[bytes, bytes](), random.Random(SEED)
    raw = [Visitor(0, ROOM, f"raw-{number}", frames=frames) for number in range(RAW)]
    clients = [Follower(f"client-{number}") for number in range(CLIENTS)]
    head = 0
    with ExitStack() as stack:
        serving = Serving(stack, tmp_path, ROOMCAST_SERVER__DRAIN_TIMEOUT_S="0.2", **UNHURRIED)
        async with anyio.create_task_group() as viewers:
            for visitor in raw:
                visitor.port = serving.port
                viewers.start_soon(visitor.follow, PROMPT)
            for client in clients:
                viewers.start_soon(client.follow, serving.server.url)
                await client.joined.wait()
            await asks(serving.server.ws_url, LIVELY)
            for _ in range(ROUNDS):
                for visitor in raw:
                    await visitor.until_here()
                await asks(serving.server.ws_url, LIVELY)  # waits, and is what runs behind the restart
                await anyio.sleep(chance.random() * 0.4)
                assert await serving.restart() == 0
            head = await stops(serving.server.ws_url)
            for visitor in raw:
                await visitor.until_seq(head)
            for client in clients:
                await client.until_seq(head)
            viewers.cancel_scope.cancel()
        await assert_stopped_well(serving)
    log = await stored(tmp_path, ROOM)
    assert audit_log(log, at_rest=True) == []
    assert [event["cause"] for event in log if event["type"] == "response.interrupted"] == ["drain"] * ROUNDS
    assert audit(raw, log, complete=True) == []
    for client in clients:
        covered = [seq for first, last in client.told for seq in range(first, last + 1)]
        assert covered == list(range(covered[0], head + 1))
        assert client.resets == 0
    assert_nobody_was_sent_away_otherwise(raw, ROUNDS)


def assert_nobody_was_sent_away_otherwise(visitors: list[Visitor], rounds: int) -> None:
    """Everybody was told when to come back each time, came back no sooner, and not all of them at once."""
    for visitor in visitors:
        here = [visit for visit in visitor.visits if visit.joined]
        assert [(visit.close_code, visit.retry_after_s) for visit in here[:-1]] == [(1012, RETRY_AFTER_S)] * rounds
        assert all(visit.joined and visit.joined["resumed"] for visit in here[1:]), "nobody had to begin anew"
    for waited_s in zip(*map(waits, visitors), strict=True):
        assert min(waited_s) >= RETRY_AFTER_S - CLOCK_S
        assert statistics.pstdev(waited_s) > Backoff().base_s / 8, "an even spread over it has more than a quarter"


def waits(visitor: Visitor) -> list[float]:
    """How long after each goodbye of a draining server it knocked again."""
    pairs = zip(visitor.visits, visitor.visits[1:], strict=False)
    return [after.began_s - before.ended_s for before, after in pairs if before.close_code == 1012]


async def stops(ws_url: str) -> int:
    """Stop what runs and what waits; returns the number of the last event."""
    last = 0
    async with anyio.create_task_group() as tasks, wire_client(ws_url, tasks) as asker:
        snapshot = (await asker.join(ROOM))["snapshot"]
        for response in [*snapshot["responses"]][::-1]:  # what waits before what runs
            if response["status"] in {"queued", "in_progress"}:
                await asker.command("response.cancel", room=ROOM, response_id=response["id"])
        for response in snapshot["responses"]:
            if response["status"] in {"queued", "in_progress"}:
                last = max(last, (await asker.ending(response["id"]))["seq"])
        tasks.cancel_scope.cancel()
    return last


# ---- a herd of 1,000 (N10) -------------------------------------------------------------------

HERD = 1_000


@pytest.fixture
def many_descriptors() -> Generator[None]:
    """Room for the sockets of a herd, here and in the server, which inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * HERD
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted if hard < 0 else min(wanted, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("many_descriptors")
async def test_N10_a_herd_of_1000_comes_back_whole_and_costs_little_more_than_what_it_missed(tmp_path: Path) -> None:
    """A second answer waits when the server stops; it runs while the herd comes back, and is what they miss.

    The sum, over all connections behind the restart, at the sockets of the viewers:

        everything received, from the answer to the handshake to the frame that brings the viewer to the
        head that its reply names; presence, merged deltas and all
        <= 2 x what it missed (the stored events between its cursor and that head, as frames)
           + the reply to its join
    """
    frames = dict[bytes, bytes]()
    herd = [Visitor(0, ROOM, f"viewer-{number}", frames=frames) for number in range(HERD)]
    with ExitStack() as stack:
        serving = Serving(stack, tmp_path, **UNHURRIED)
        async with anyio.create_task_group() as viewers:
            for visitor in herd:
                visitor.port = serving.port
                viewers.start_soon(visitor.follow)
            for visitor in herd:
                await visitor.until_here()
            await asks(serving.server.ws_url, CALM)
            await asks(serving.server.ws_url, CALM)
            await herd[0].until_type("response.output_text.delta", times=20)
            assert await serving.restart() == 0
            for visitor in herd:
                await visitor.until_here()
            await herd[0].until_type("response.output_text.delta", times=60)
            head = await stops(serving.server.ws_url)
            for visitor in herd:
                await visitor.until_seq(head)
            viewers.cancel_scope.cancel()
        await assert_stopped_well(serving)
    log = await stored(tmp_path, ROOM)
    assert audit_log(log, at_rest=True) == []
    assert audit(herd, log, complete=True) == []
    assert_nobody_was_sent_away_otherwise(herd, rounds=1)
    sizes = [len(encode_frame(TEXT, orjson.dumps(event), mask=False)) for event in log]
    back = [visitor.visits[-1] for visitor in herd]
    missed = sum(
        sum(sizes[visit.after["seq"] : visit.joined["head"]]) for visit in back if visit.after and visit.joined
    )
    replies = sum(visit.reply_bytes for visit in back)
    received = sum(visit.caught_up_bytes for visit in back)
    assert missed > 0, "something went on while they were away"
    assert received <= 2 * missed + replies, (received, missed, replies)
