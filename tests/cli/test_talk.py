"""Tests of roomcast/cli/talk.py, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
import pytest

from roomcast.cli.talk import HELP, Talk
from roomcast.cli.terminal import Writer
from roomcast.client import NotAllowed, connect
from roomcast.core.events import JsonObject
from tests.client.scripted import QUICK, Peer, created, delta, said, scripted, terminal

pytestmark = pytest.mark.anyio

ADA = {"id": "ada", "name": "Ada", "role": "owner"}
BOB = {"id": "bob", "name": "Bob", "role": "owner"}


class Screen:
    """What is shown, and a way to wait for it."""

    def __init__(self) -> None:
        self.shown = ""
        self._more = anyio.Event()

    def write(self, text: str) -> None:
        self.shown += text
        self._more.set()

    async def until(self, text: str) -> None:
        while text not in self.shown:
            self._more = anyio.Event()
            await self._more.wait()


async def talk(
    script: Callable[[Peer], Awaitable[None]], *lines: str, interactive: bool = False, until: str = ""
) -> str:
    """What a visit shows. The input ends when `until` has been shown."""
    screen = Screen()

    async def typed() -> AsyncGenerator[str]:
        for line in lines:
            yield line
        await screen.until(until)

    async with scripted(script) as server, connect(server.url, backoff=QUICK) as room:
        await Talk(room, Writer(screen.write), interactive=interactive).run(typed())
    return screen.shown


def answered(seq: int, text: str, number: int) -> list[JsonObject]:
    """A prompt and its whole answer, from `seq` on."""
    response = f"resp_{number}"
    piece = delta(seq + 2, text.upper(), response=response)
    return [said(seq, text), created(seq + 1, response=response), piece, terminal(seq + 3, response=response)]


async def take_prompt(peer: Peer, number: int) -> str:
    command = await peer.receive()
    await peer.reply(command, item_id=f"msg_{number}", seq=number, response_id=f"resp_{number}")
    assert command["respond"] == "auto"
    return str(command["content"])


async def test_in_a_pipe_each_line_waits_for_the_answer_to_the_one_before() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA)
        assert await take_prompt(peer, 1) == "one"
        with anyio.move_on_after(0.1) as waited:
            await peer.receive()
        assert waited.cancelled_caught  # the second line is not sent yet
        await peer.say(*answered(1, "one", 1))
        assert await take_prompt(peer, 2) == "two"
        await peer.say(*answered(5, "two", 2))
        await peer.gone()

    assert await talk(script, "one", "two") == "Ada: one\nassistant: ONE\nAda: two\nassistant: TWO\n"


async def test_a_command_does_not_wait_for_the_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA)
        await take_prompt(peer, 1)
        await peer.say(created(1), delta(2, "on and on"))
        cancel = await peer.receive()
        assert cancel["type"] == "response.cancel"
        await peer.reply(cancel, response_id="resp_1", status="cancelling")
        await peer.say(terminal(3, "cancelled", receipt={"by": ADA}))
        await peer.gone()

    text = await talk(script, "tell me", "/stop")
    assert "[cancelling]\n" in text
    assert text.endswith("[cancelled by Ada]\n")


async def test_a_message_that_nobody_answers_is_not_waited_for() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA)
        await peer.reply(await peer.receive(), item_id="msg_1", seq=1)
        await peer.gone()

    await talk(script, "hello")


async def test_who_is_here_can_be_asked() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA, members=[ADA, BOB], member_count=2)
        await peer.gone()

    assert await talk(script, "/who") == "[2 here: Ada, Bob]\n"


async def test_a_command_that_there_is_not_is_explained_and_two_slashes_are_text() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA)
        command = await peer.receive()
        assert command["content"] == "/etc/hosts"
        await peer.reply(command, item_id="msg_1", seq=1)
        await peer.gone()

    assert await talk(script, "/etc/hosts", "", "//etc/hosts") == f"[{HELP}]\n"


async def test_quitting_does_not_wait_for_anything() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA)
        await take_prompt(peer, 1)
        await peer.gone()

    await talk(script, "tell me", "/quit", "never sent")


async def test_a_refusal_is_shown_and_the_talk_goes_on() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA)
        await peer.refuse(await peer.receive(), "no_running_response", "nothing to\x1b[2J stop")
        await peer.gone()

    assert await talk(script, "/stop", "/foo") == f"[refused: nothing to stop (no_running_response)]\n[{HELP}]\n"


async def test_at_a_keyboard_lines_do_not_wait_and_are_not_written_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA, members=[ADA])
        await take_prompt(peer, 1)
        await take_prompt(peer, 2)
        await peer.say(*answered(1, "one", 1))
        await peer.gone()

    text = await talk(script, "one", "two", interactive=True, until="ONE\n")
    assert text == f"[lobby: 1 here. {HELP}]\nassistant: ONE\n"


async def test_at_a_keyboard_it_is_told_who_else_comes_and_goes() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA, members=[])
        presence: JsonObject = {"type": "presence.updated", "room": "lobby", "changed": []}
        await peer.say({**presence, "joined": [ADA, BOB], "left": [], "count": 2})
        await peer.say({**presence, "joined": [], "left": ["bob", "cy"], "count": 1})
        await peer.gone()

    text = await talk(script, interactive=True, until="[somebody has left]\n")
    assert text.splitlines()[1:] == ["[Bob is here]", "[Bob has left]", "[somebody has left]"]


async def test_a_room_that_closes_ends_the_talk_with_the_reason() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(you=ADA)
        await peer.close(4403, "you are out")

    with pytest.raises(NotAllowed, match="you are out"):
        await talk(script, until="what is never shown")
