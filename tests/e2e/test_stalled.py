"""Viewers that stop reading (N1, N2, L1): ended in time, however little waits for them, and alone."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.raw_peer import PATIENCE_S, RawPeer
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed, metric

PROMPT_S, SLOW_S, LENIENT_S = 2, 6, 120
"""Deadlines: for who never reads, for who reads a little now and then, and where none is to be reached."""


def running(folder: Path, write_deadline_s: int) -> Generator[Server]:
    """A server with this deadline, which must be unharmed at the end."""
    with roomcast_server(folder, environ={"ROOMCAST_LIMITS__WRITE_DEADLINE_S": str(write_deadline_s)}) as server:
        yield server
        assert_unharmed(server)


@pytest.fixture(scope="module")
def prompt(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    yield from running(tmp_path_factory.mktemp("prompt"), PROMPT_S)


@pytest.fixture(scope="module")
def slow_deadline(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    yield from running(tmp_path_factory.mktemp("slow"), SLOW_S)


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    yield from running(tmp_path_factory.mktemp("lenient"), LENIENT_S)


def stepped_down(server: Server, action: str) -> float:
    """How often a viewer that lagged was treated so."""
    return metric(server, f'roomcast_slow_viewers_total{{action="{action}"}}')


def until_stepped_down(server: Server, action: str, before: float) -> None:
    """Wait until one more was; the server looks at full sockets four times a second."""
    patience_until = time.monotonic() + PATIENCE_S
    while stepped_down(server, action) == before:
        assert time.monotonic() < patience_until, action
        time.sleep(0.05)


def say_much(writer: RawPeer, room: str) -> int:
    """Say 200 kB in pieces; returns the last seq."""
    for number in range(20):
        text = f"{number} " + "x" * 10_000
        assert writer.reply("message.create", room=room, content=text, respond="never")["ok"]
    last: int = writer.heard[-1]["result"]["seq"]
    return last


@pytest.mark.parametrize("messages", [3, 40], ids=lambda number: f"{number * 20} kB")
def test_N2_a_viewer_that_reads_nothing_of_a_burst_is_ended_and_resumes(prompt: Server, messages: int) -> None:
    """With 60 kB, the kernel is full but the buffer above it is not."""
    room = f"burst-{messages}"
    with (
        RawPeer.upgraded(prompt.port, member="reader") as reader,
        RawPeer.upgraded(prompt.port, member="stalled", receive_buffer_bytes=4_096) as stalled,
    ):
        reader.reply("room.join", room=room)
        joined = stalled.reply("room.join", room=room)["result"]
        said = [
            reader.reply("message.create", room=room, content=f"{number}" + "x" * 20_000, respond="never")["result"]
            for number in range(messages)
        ]
        gone = reader.until_type("presence.updated", count=1)
        assert gone["left"] == ["stalled"]
        with RawPeer.upgraded(prompt.port, member="stalled") as back:
            after = {"epoch": joined["epoch"], "seq": joined["seq"]}
            assert back.reply("room.join", room=room, after=after)["result"]["resumed"]
            assert [back.until_type("item.created")["seq"] for _ in said] == [each["seq"] for each in said]


def test_N3_a_slow_joiner_gets_a_large_snapshot_whole_though_it_takes_longer_than_the_deadline(
    slow_deadline: Server,
) -> None:
    with RawPeer.upgraded(slow_deadline.port, member="writer") as writer:
        writer.reply("room.join", room="large")
        said = [
            writer.reply("message.create", room="large", content=f"{number} " + "x" * 20_000, respond="never")["result"]
            for number in range(12)
        ]
        with RawPeer.upgraded(slow_deadline.port, member="slow", receive_buffer_bytes=4_096) as slow:
            slow.command("room.join", room="large", id="join")
            began_at = time.monotonic()
            for _ in range(3):  # each time it reads a little of the snapshot, and then waits for much of the deadline
                slow.sip(40_000)
                time.sleep(SLOW_S / 2.4)
                assert writer.reply("message.create", room="large", content="meanwhile", respond="never")["ok"]
            assert time.monotonic() - began_at > SLOW_S
            joined = slow.until_type("reply", id="join")["result"]
            assert [item["id"] for item in joined["snapshot"]["items"]] == [each["item_id"] for each in said]
            meanwhile = [slow.until_type("item.created")["seq"] for _ in range(3)]
            assert meanwhile == [joined["seq"] + 1, joined["seq"] + 2, joined["seq"] + 3]


def test_N1_one_that_lags_is_told_so_and_catches_up_without_a_hole(lenient: Server) -> None:
    before = stepped_down(lenient, "coalesce")
    with (
        RawPeer.upgraded(lenient.port, member="writer") as writer,
        RawPeer.upgraded(lenient.port, member="lagging", receive_buffer_bytes=4_096) as lagging,
    ):
        first = lagging.reply("room.join", room="lag")["result"]["seq"] + 1
        last = say_much(writer, "lag") + 1
        until_stepped_down(lenient, "coalesce", before)
        while not lagging.heard or lagging.heard[-1]["type"] != "subscriber.caught_up":
            lagging.hear()
        assert writer.reply("message.create", room="lag", content="live again", respond="never")["ok"]
        while lagging.heard[-1].get("seq") != last:
            lagging.hear()
        seqs = [got["seq"] for got in lagging.heard if "at" in got and got.get("room") == "lag"]
        assert seqs == list(range(first, last + 1))
        [notice] = [got for got in lagging.heard if got["type"] == "subscriber.lagging"]
        assert notice["behind_events"] > 0
        assert notice["policy"] == "coalesce"


@pytest.mark.parametrize("policy", ["snapshot", "disconnect"])
def test_N1_one_that_lags_goes_the_way_that_it_chose(lenient: Server, policy: str) -> None:
    room, before = f"lag-{policy}", stepped_down(lenient, policy)
    with (
        RawPeer.upgraded(lenient.port, member="writer") as writer,
        RawPeer.upgraded(lenient.port, member="lagging", receive_buffer_bytes=4_096) as lagging,
    ):
        lagging.reply("room.join", room=room, on_slow=policy, items=3)
        last = say_much(writer, room)
        until_stepped_down(lenient, policy, before)
        if policy == "disconnect":
            assert lagging.goodbye() in {4408, None}
        else:
            reset = lagging.until_type("room.reset")
            assert (reset["reason"], reset["seq"]) == ("lagging", last)
            assert [item["seq"] for item in reset["snapshot"]["items"]][-1] == reset["seq"]
            writer.reply("message.create", room=room, content="live again", respond="never")
            assert lagging.until_type("item.created")["seq"] == reset["seq"] + 1
