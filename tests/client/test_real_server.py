"""The client against the real server: what the scripted one only pretends."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from roomcast.client import Backoff, NotAllowed, RoomEvent, Transcript, connect
from tests.support.server import ENDLESS, roomcast_server

pytestmark = pytest.mark.anyio

FAST = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "200", "ROOMCAST_DEMO__JITTER": "0"}
SOON = Backoff(base_s=0.05, cap_s=0.2)


async def test_a_crash_in_the_middle_of_an_answer_is_resumed_without_a_hole_or_a_copy(tmp_path: Path) -> None:
    seen = list[RoomEvent]()
    with ExitStack() as servers:
        first = servers.enter_context(roomcast_server(tmp_path, environ=FAST))
        async with connect(first.url, backoff=SOON) as room:
            start = room.cursor.seq
            asked = await room.ask(ENDLESS)
            while sum(len(event.delta) for event in seen) < 300:
                seen.append(await anext(room))
            first.kill()
            second = servers.enter_context(roomcast_server(tmp_path, port=first.port, environ=FAST))
            with anyio.fail_after(120):
                while not seen[-1].is_terminal:
                    seen.append(await anext(room))
                async with connect(second.url) as late:
                    known = Transcript(late.snapshot).entries[-1]
    logged = [event for event in seen if not event.is_signal]
    covered = [seq for event in logged for seq in range(event.seq_from or 0, (event.seq or 0) + 1)]
    assert covered == list(range(start + 1, start + 1 + len(covered)))
    assert not any(event.is_reset for event in seen)
    assert (seen[-1].type, seen[-1].response_id) == ("response.interrupted", asked.response_id)
    assert "".join(event.delta for event in seen) == known.text


async def test_a_drained_server_is_waited_for_and_the_next_prompt_works(tmp_path: Path) -> None:
    with ExitStack() as servers, anyio.fail_after(120):
        first = servers.enter_context(roomcast_server(tmp_path, environ=FAST))
        async with connect(first.url, backoff=SOON) as room:
            assert await anyio.to_thread.run_sync(first.stop) == 0
            servers.enter_context(roomcast_server(tmp_path, port=first.port, environ=FAST))
            assert (await room.answer(await room.ask("a short answer"))).verified is True


async def test_two_rooms_see_one_answer_and_either_may_stop_it(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=FAST) as server, anyio.fail_after(120):
        async with connect(server.url, name="Ada") as ada, connect(server.url, name="Bob") as bob:
            asked = await ada.ask(ENDLESS)
            pieces = bob.text(asked)
            text = await anext(pieces)
            assert (await bob.cancel(reason="enough")).status == "cancelling"
            text += "".join([piece async for piece in pieces])
            one, other = await ada.answer(asked), await bob.answer(asked)
    assert (one.text, one.status, one.reason, one.verified) == (text, "cancelled", "enough", True)
    assert one.terminal == other.terminal


async def test_a_token_that_the_server_does_not_know_is_told_at_once(tmp_path: Path) -> None:
    right = "the-right-token-of-ada"
    tokens = f'[{{token = "{right}", member = "ada", name = "Ada", role = "owner"}}]'
    settings = tmp_path / "roomcast.toml"
    settings.write_text(f'[auth]\nmode = "token"\ntokens = {tokens}\n')
    with roomcast_server(tmp_path / "data", "--config", str(settings)) as server:
        with pytest.raises(NotAllowed):
            async with connect(server.url, token="wrong"):
                pass
        async with connect(server.url, token=right) as room:
            assert room.you["id"] == "ada"
