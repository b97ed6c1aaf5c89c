"""Tests of roomcast/cli/chat.py, as its own process over a real socket; the talk has its own tests."""

from __future__ import annotations

import signal

import pytest

from tests.cli.program import in_terminal, roomcast, running
from tests.client.scripted import Peer, created, delta, said, scripted, terminal

pytestmark = pytest.mark.anyio

ADA = {"id": "ada", "name": "Ada", "role": "owner"}


async def answers_once(peer: Peer) -> None:
    await peer.joined(you=ADA, members=[ADA])
    command = await peer.receive()
    await peer.reply(command, item_id="msg_1", seq=1, response_id="resp_1")
    await peer.say(said(1, command["content"]), created(2), delta(3, "Hello"), terminal(4))
    await peer.gone()


async def test_a_pipe_is_a_conversation_that_ends_with_its_last_answer() -> None:
    async with scripted(answers_once) as server:
        done = await roomcast("chat", "lobby", "--url", server.url, said="hi\n")
    assert (done.stdout, done.stderr, done.returncode) == ("Ada: hi\nassistant: Hello\n", "", 0)


async def test_the_keyboard_ends_it_with_130() -> None:
    async with scripted(answers_once) as server, running("chat", "lobby", "--url", server.url) as program:
        await program.type("hi\n")
        await program.until("Hello")
        assert await program.stop(signal.SIGINT) == 130


async def test_a_terminal_gets_a_prompt_and_does_not_see_its_own_line_twice() -> None:
    async with scripted(answers_once) as server, in_terminal("chat", "lobby", "--url", server.url) as terminal:
        await terminal.until("> ")
        terminal.type("hi\n")
        await terminal.until("assistant: Hello\r\n")
        terminal.type("/quit\n")
        assert await terminal.status() == 0
    assert "[lobby: 1 here." in terminal.shown
    assert "Ada: hi" not in terminal.shown
