"""Tests of roomcast/cli/live.py: what is on the screen of a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from roomcast.cli.live import LiveView, follow_live
from roomcast.client import connect
from roomcast.core.events import JsonObject
from tests.client.scripted import QUICK, Peer, as_event, created, delta, said, scripted, snapshot, terminal

pytestmark = pytest.mark.anyio

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def a_console(height: int = 20) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=60, height=height, legacy_windows=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return COLOURS.sub("", console.file.getvalue())


async def view_of(*events: JsonObject, height: int = 20, shot: JsonObject | None = None) -> tuple[str, str]:
    """What has scrolled up, and what is drawn below it, after these events."""

    async def script(peer: Peer) -> None:
        await peer.joined(snapshot=shot or snapshot(), member_count=3)
        await peer.gone()

    console = a_console(height)
    async with scripted(script) as server, connect(server.url, "lobby") as room:
        view = LiveView(console, room)
        view.print_entries()
        for event in events:
            view.apply(as_event(event))
        above = printed(console)
        console.print(view.render())
        return above, printed(console).removeprefix(above)


async def test_what_grows_is_drawn_below_and_nothing_of_it_scrolls_up() -> None:
    above, below = await view_of(created(1) | {"by": {"name": "Ada"}}, delta(2, "Hello"))
    assert above == ""
    assert below == "assistant · in progress · for Ada\nHello\nlobby · live · 3 here\n"


async def test_what_is_finished_scrolls_up() -> None:
    above, below = await view_of(said(1, "hi"), created(2), delta(3, "*Hello*"), terminal(4))
    assert [line.rstrip() for line in above.splitlines()] == ["Ada", "hi", "", "assistant", "Hello", ""]
    assert below == "lobby · live · 3 here\n"


async def test_an_answer_that_did_not_complete_says_why() -> None:
    above, _ = await view_of(created(1), delta(2, "Hel"), terminal(3, "cancelled", receipt={"by": {"name": "Bob"}}))
    assert "[cancelled by Bob]" in above


async def test_of_a_long_answer_its_end_is_drawn() -> None:
    text = "\n".join(str(number) for number in range(100))
    _, below = await view_of(created(1), delta(2, text), height=12)
    lines = below.splitlines()
    assert (lines[1], lines[-2]) == ("93", "99")
    assert len(lines) < 12


async def test_a_room_is_shown_as_it_was_found() -> None:
    running: JsonObject = {"id": "resp_1", "status": "in_progress", "output": []}
    above, below = await view_of(shot=snapshot(items=[said(1, "hi")["item"]], responses=[running]))
    assert above.startswith("Ada\nhi")
    assert below.startswith("assistant · in progress")


async def test_a_new_beginning_is_told() -> None:
    reset = {"type": "room.reset", "seq": 9, "reason": "expired", "snapshot": snapshot(items=[said(9, "new")["item"]])}
    above, _ = await view_of(reset)
    assert "the room begins anew: expired" in above
    assert "new" in above


async def test_x6_nothing_that_a_terminal_obeys_is_drawn_or_printed() -> None:
    evil = "\x1b[2J\x1b]0;t\x07 [link](http://a/\x1b[31m)"
    events = [said(1, evil, name=evil), created(2), delta(3, evil), terminal(4), created(5, response="r2")]
    above, below = await view_of(*events, delta(6, evil, response="r2"))
    assert "\x1b" not in above + below
    assert "\x07" not in above + below


async def test_following_draws_until_nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(peer: Peer) -> None:
        running: JsonObject = {"id": "resp_1", "status": "in_progress", "output": []}
        await peer.joined(snapshot=snapshot(responses=[running]))
        await peer.say(delta(1, "Hel"), delta(2, "lo"), terminal(3))
        await peer.gone()

    console = a_console()
    monkeypatch.setattr("roomcast.cli.live.Console", lambda: console)
    async with scripted(script) as server, connect(server.url, backoff=QUICK) as room:
        await follow_live(room, until_idle=True)
    assert "Hello" in printed(console)
