"""Tests of roomcast/cli/send.py, as its own process over a real socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from roomcast.core.events import JsonObject
from tests.cli.program import in_terminal, roomcast
from tests.client.scripted import Peer, created, delta, scripted, terminal

pytestmark = pytest.mark.anyio

heard: list[JsonObject] = []


def answers(*events: JsonObject, response_id: str | None = "resp_1") -> Callable[[Peer], Awaitable[None]]:
    """A server that takes one prompt and then says this."""

    async def script(peer: Peer) -> None:
        await peer.joined()
        heard.append(await peer.receive())
        found = {} if response_id is None else {"response_id": response_id, "status": "in_progress"}
        await peer.reply(heard[-1], item_id="msg_1", seq=1, **found)
        await peer.say(*events)
        await peer.gone()

    return script


async def test_it_prints_the_id_of_the_answer_to_come() -> None:
    async with scripted(answers()) as server:
        done = await roomcast("send", "lobby", "Why?", "--url", server.url, "--name", "Ada")
    assert (done.stdout, done.stderr, done.returncode) == ("resp_1\n", "", 0)
    assert (heard[-1]["content"], heard[-1]["respond"], heard[-1]["room"]) == ("Why?", "auto", "lobby")
    assert "name=Ada" in server.paths[0]


async def test_where_nobody_answers_it_prints_the_id_of_the_message() -> None:
    async with scripted(answers(response_id=None)) as server:
        done = await roomcast("send", "lobby", "-", said="from a pipe", ROOMCAST_URL=server.url)
    assert (done.stdout, done.returncode, heard[-1]["content"]) == ("msg_1\n", 0, "from a pipe")


async def test_with_wait_it_prints_the_final_text_and_succeeds() -> None:
    over = {"type": "response.attempt_superseded", "seq": 3, "response_id": "resp_1", "item_ids": ["msg_resp_1"]}
    again = delta(4, "Because\x1b[2J.") | {"item_id": "msg_2"}
    async with scripted(answers(created(1), delta(2, "Wrong"), over, again, terminal(5))) as server:
        done = await roomcast("send", "lobby", "Why?", "--wait", "--url", server.url)
    assert (done.stdout, done.stderr, done.returncode) == ("Because.\n", "", 0)
    assert heard[-1]["respond"] == "always"


async def test_in_a_terminal_the_text_appears_as_it_comes_and_again_if_the_model_started_over() -> None:
    go_on = anyio.Event()

    async def over(peer: Peer) -> None:
        await peer.joined()
        await peer.reply(await peer.receive(), item_id="msg_1", seq=1, response_id="resp_1")
        await peer.say(created(1), delta(2, "Wrong"))
        await go_on.wait()
        superseded = {
            "type": "response.attempt_superseded",
            "seq": 3,
            "response_id": "resp_1",
            "item_ids": ["msg_resp_1"],
        }
        await peer.say(superseded, delta(4, "Right") | {"item_id": "msg_2"}, terminal(5))
        await peer.gone()

    async with scripted(over) as server, in_terminal("send", "lobby", "?", "--wait", "--url", server.url) as screen:
        await screen.until("Wrong")
        go_on.set()
        assert await screen.until("\r\n\r\nRight\r\n") == "WrongRight\r\n\r\nRight\r\n"
        assert await screen.status() == 0


async def test_with_wait_an_answer_that_did_not_complete_fails_with_the_reason() -> None:
    receipt = {"by": {"name": "Bob"}, "reason": "enough"}
    async with scripted(answers(created(1), delta(2, "Bec"), terminal(3, "cancelled", receipt=receipt))) as server:
        done = await roomcast("send", "lobby", "Why?", "--wait", "--url", server.url)
    assert (done.stdout, done.returncode) == ("Bec\n", 1)
    assert done.stderr == "roomcast: cancelled by Bob: enough\n"


async def test_a_token_goes_with_the_connection_and_is_printed_nowhere() -> None:
    async with scripted(401) as server:
        done = await roomcast("send", "lobby", "Why?", "--url", server.url, ROOMCAST_TOKEN="very-secret")
    assert done.returncode == 1
    assert done.stderr == "roomcast: the server answered 401 Unauthorized\n"
