"""Tests of roomcast/client/room.py: what a program that uses the client can rely on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from roomcast.client import Asked, Cursor, Inbox, Refused, Room, Stopped, connect
from roomcast.core.events import JsonObject
from tests.client.scripted import QUICK, Peer, created, delta, said, scripted, snapshot, terminal

pytestmark = pytest.mark.anyio


async def stay(peer: Peer) -> None:
    await peer.joined()
    await peer.gone()


async def answers_with(
    result: JsonObject, use: Callable[[Room], Awaitable[Any]], *also: JsonObject
) -> tuple[JsonObject, Any]:
    """Let a room use one command, answered with `result`; give the command, and what came of it."""
    commands = list[JsonObject]()

    async def script(peer: Peer) -> None:
        await peer.joined()
        commands.append(await peer.receive())
        await peer.reply(commands[0], **result)
        await peer.say(*also)
        await peer.gone()

    async with scripted(script) as server, connect(server.url, backoff=QUICK) as room:
        got = await use(room)
    command = dict(commands[0])
    assert command.pop("id").startswith("cmd_")
    return command, got


async def test_a_room_begins_with_a_snapshot_and_who_is_here() -> None:
    shot = snapshot(items=[said(1, "hello")["item"]])
    ada = {"id": "ada", "name": "Ada", "role": "owner"}

    async def script(peer: Peer) -> None:
        command = await peer.joined(7, snapshot=shot, members=[ada], member_count=1, you=ada)
        assert (command["room"], command["items"], "include" in command) == ("kitchen", 50, False)
        await peer.gone()

    async with scripted(script) as server, connect(server.url, "kitchen") as room:
        assert (room.name, room.snapshot, room.cursor) == ("kitchen", shot, Cursor("e1", 7))
        assert (room.members, room.member_count, room.you) == ([ada], 1, ada)


async def test_a_room_can_be_joined_where_an_earlier_visit_ended() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined(7)
        await peer.say(delta(8, "x"))
        await peer.gone()

    async with scripted(script) as server, connect(server.url, after=Cursor("e1", 7)) as room:
        assert room.snapshot is None
        assert (await anext(room)).seq == 8
        assert room.cursor == Cursor("e1", 8)


async def test_the_cursor_is_where_the_reader_stands_not_the_socket() -> None:
    """R1."""

    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(delta(1, "a"), delta(2, "b"), delta(3, "c"))
        await peer.reply(await peer.receive(), at=0)
        await peer.gone()

    async with scripted(script) as server, connect(server.url) as room:
        await room.command("session.ping")  # everything before its reply has arrived
        assert room.cursor == Cursor("e1", 0)
        await anext(room)
        assert room.cursor == Cursor("e1", 1)


async def test_a_reset_replaces_the_snapshot_when_it_is_read() -> None:
    async def breaks(peer: Peer) -> None:
        await peer.joined(3)
        await peer.close(1011)

    async def forgot(peer: Peer) -> None:
        await peer.joined(40, epoch="e2", reset="epoch_changed", snapshot=snapshot(has_more=True))
        await peer.gone()

    async with scripted(breaks, forgot) as server, connect(server.url, backoff=QUICK) as room:
        event = await anext(room)
        assert (event.is_reset, event.data["reason"], room.cursor) == (True, "epoch_changed", Cursor("e2", 40))
        assert room.snapshot == snapshot(has_more=True)


async def test_asking_gives_the_answer_to_wait_for() -> None:
    result = {"item_id": "msg_1", "seq": 4, "response_id": "resp_1", "status": "in_progress"}
    command, asked = await answers_with(result, lambda room: room.ask("Why?", profile="brief", parent_id=None))
    assert command == {
        "type": "message.create",
        "room": "lobby",
        "content": "Why?",
        "respond": "always",
        "profile": "brief",
    }
    assert asked == Asked("msg_1", 4, "resp_1", "in_progress")


async def test_sending_asks_for_no_answer() -> None:
    command, asked = await answers_with({"item_id": "msg_1", "seq": 4}, lambda room: room.send("hello"))
    assert (command["respond"], asked.response_id) == ("never", None)


async def test_cancelling_names_a_response_or_means_the_running_one() -> None:
    result = {"response_id": "resp_1", "status": "cancelling"}
    command, stopped = await answers_with(result, lambda room: room.cancel())
    assert (command, stopped) == ({"type": "response.cancel", "room": "lobby"}, Stopped("resp_1", "cancelling"))
    command, _ = await answers_with(result, lambda room: room.cancel("resp_1", "enough"))
    assert (command["response_id"], command["reason"]) == ("resp_1", "enough")


async def test_history_is_given_by_the_page() -> None:
    result = {"items": [{"id": "msg_3"}], "has_more": True}
    command, page = await answers_with(result, lambda room: room.history(before="msg_4", limit=1))
    assert command == {"type": "history.list", "room": "lobby", "before": "msg_4", "limit": 1}
    assert (page.items, page.has_more) == ([{"id": "msg_3"}], True)


async def test_presence_is_shown_to_the_others() -> None:
    command, _ = await answers_with({}, lambda room: room.presence({"typing": True}))
    assert command == {"type": "presence.update", "room": "lobby", "state": {"typing": True}}


async def test_a_command_that_was_not_answered_is_sent_again_under_the_same_id() -> None:
    commands = list[JsonObject]()

    async def takes_and_breaks(peer: Peer) -> None:
        await peer.joined()
        commands.append(await peer.receive())
        peer.cut()

    async def answers(peer: Peer) -> None:
        await peer.joined()
        commands.append(await peer.receive())
        await peer.reply(commands[-1], item_id="msg_1", seq=1, response_id="resp_1")
        await peer.gone()

    async with scripted(takes_and_breaks, answers) as server, connect(server.url, backoff=QUICK) as room:
        asked = await room.ask("once")
    assert commands[0] == commands[1]
    assert asked.item_id == "msg_1"


async def test_a_refusal_is_raised_with_all_that_was_said() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.refuse(
            await peer.receive(), "queue_full", "32 wait", retryable=True, retry_after_ms=500, param="on_busy"
        )
        await peer.gone()

    async with scripted(script) as server, connect(server.url) as room:
        with pytest.raises(Refused, match="32 wait") as caught:
            await room.ask("hello")
    refused = caught.value
    assert (refused.code, refused.param, refused.retryable, refused.retry_after_ms) == (
        "queue_full",
        "on_busy",
        True,
        500,
    )


async def test_the_text_of_an_answer_comes_piece_by_piece_to_its_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.reply(await peer.receive(), item_id="msg_1", seq=1, response_id="resp_1")
        await peer.say(said(1, "hi"), created(2), delta(3, "Hel"), delta(4, "other", response="resp_9"), delta(5, "lo"))
        await peer.say(terminal(6))
        await peer.gone()

    async with scripted(script) as server, connect(server.url) as room:
        asked = await room.ask("hi")
        assert "".join([piece async for piece in room.text(asked)]) == "Hello"
        assert (await room.wait(asked)).seq == 6


async def test_waiting_for_what_nobody_answers_is_a_mistake_that_is_told() -> None:
    async with scripted(stay) as server, connect(server.url) as room:
        with pytest.raises(ValueError, match="nobody was asked"):
            await room.wait(Asked("msg_1", 1))


async def test_waiting_gives_the_end_also_when_it_has_come_already() -> None:
    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(created(1), terminal(2, "cancelled"))
        await peer.reply(await peer.receive(), at=0)
        await peer.gone()

    async with scripted(script) as server, connect(server.url) as room:
        await room.command("session.ping")
        assert ((await room.wait("resp_1")).type, (await room.wait("resp_1")).seq) == ("response.cancelled", 2)


async def test_waiting_survives_a_reconnection_with_a_snapshot() -> None:
    async def breaks(peer: Peer) -> None:
        await peer.joined()
        await peer.say(created(1), delta(2, "Hel"))
        await peer.close(1011)

    async def ended_meanwhile(peer: Peer) -> None:
        content = [{"type": "output_text", "text": "Hello"}]
        item = {"id": "msg_resp_1", "role": "assistant", "response_id": "resp_1", "type": "message", "content": content}
        shot = snapshot(responses=[{"id": "resp_1", "status": "completed"}], items=[item])
        await peer.joined(90, reset="expired", snapshot=shot)
        await peer.gone()

    async with scripted(breaks, ended_meanwhile) as server, connect(server.url, backoff=QUICK) as room:
        assert "".join([piece async for piece in room.text("resp_1")]) == "Hello"
        assert (await room.wait("resp_1")).type == "response.completed"


async def test_waiting_for_an_answer_that_a_new_beginning_does_not_know_ends() -> None:
    async def breaks(peer: Peer) -> None:
        await peer.joined()
        await peer.say(created(1))
        await heard.wait()
        await peer.close(1011)

    async def forgot(peer: Peer) -> None:
        await peer.joined(1, epoch="e2", reset="epoch_changed")
        await peer.gone()

    heard = anyio.Event()
    async with scripted(breaks, forgot) as server, connect(server.url, backoff=QUICK) as room:
        await anext(room)
        heard.set()
        with pytest.raises(Refused) as caught:
            await room.wait("resp_1")
    assert caught.value.code == "response_not_found"


def flood(count: int) -> list[JsonObject]:
    return [created(1), *(delta(seq, "x" * 200) for seq in range(2, count)), terminal(count)]


async def test_a_reader_that_pauses_stops_the_socket_and_loses_nothing() -> None:
    """B2: the queue stays at its bound while the server still has much to say."""
    inbox, said_all = Inbox(soft=8), anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(*flood(20_000))
        said_all.set()
        await peer.gone()

    async with scripted(script) as server, connect(server.url, inbox=inbox) as room:
        while len(inbox) < 8:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
        with anyio.move_on_after(0.3):
            await said_all.wait()
        assert (len(inbox), said_all.is_set()) == (8, False)
        seen = [(await anext(room)).seq for _ in range(20_000)]
    assert seen == list(range(1, 20_001))


async def test_waiting_in_the_middle_of_the_loop_does_not_wait_for_itself() -> None:
    """B3: the queue is full of what the loop has not read, and the end is behind it."""

    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(*flood(500))
        await peer.gone()

    async with scripted(script) as server, connect(server.url, inbox=Inbox(soft=8)) as room:
        first = await anext(room)
        assert (await room.wait("resp_1")).seq == 500
        seen = [first.seq, *[(await anext(room)).seq for _ in range(499)]]
    assert seen == list(range(1, 501))


async def test_asking_in_the_middle_of_the_loop_does_not_wait_for_itself() -> None:
    """B3: the reply is behind what the loop has not read."""

    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(*flood(500))
        await peer.reply(await peer.receive(), item_id="msg_1", seq=501)
        await peer.gone()

    async with scripted(script) as server, connect(server.url, inbox=Inbox(soft=8)) as room:
        await anext(room)
        assert (await room.send("hello")).seq == 501
        assert [(await anext(room)).seq for _ in range(499)] == list(range(2, 501))


async def test_a_program_that_only_waits_begins_anew_when_it_reads_after_all() -> None:
    """B3: what nobody reads is not kept without end."""

    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.say(*flood(500))
        command = await peer.joined(500, snapshot=snapshot(has_more=True))
        assert "after" not in command
        await peer.say(delta(501, "tail"))
        await peer.gone()

    async with scripted(script) as server, connect(server.url, inbox=Inbox(soft=8, hard=50)) as room:
        await room.wait("resp_1")
        reset, event = await anext(room), await anext(room)
    assert (reset.is_reset, reset.data["reason"], event.seq) == (True, "lagging", 501)


async def test_what_the_body_raises_comes_out_as_it_is() -> None:
    async with scripted(stay) as server:
        with pytest.raises(KeyError, match="mine"):
            async with connect(server.url):
                raise KeyError("mine")


async def test_leaving_hangs_up() -> None:
    """R2: the script ends because the client has gone."""
    left = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.joined()
        await peer.gone()
        left.set()

    async with scripted(script) as server:
        async with connect(server.url):
            pass
        await left.wait()


async def test_cancelling_the_body_leaves_in_time() -> None:
    """R2."""
    async with scripted(stay) as server:
        with anyio.CancelScope() as scope:
            async with connect(server.url) as room:
                scope.deadline = anyio.current_time() + 0.05
                await anext(room)
    assert scope.cancelled_caught


async def test_choices_of_the_viewer_go_with_every_join() -> None:
    joins = list[JsonObject]()

    async def script(peer: Peer) -> None:
        joins.append(await peer.joined(include=[]))
        await peer.gone()

    async with scripted(script) as server, connect(server.url, include=[], on_slow="snapshot", items=3):
        pass
    assert (joins[0]["include"], joins[0]["on_slow"], joins[0]["items"]) == ([], "snapshot", 3)


async def test_an_address_that_is_none_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        async with connect("gopher://example"):
            pass
