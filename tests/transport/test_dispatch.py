"""Tests of roomcast/transport/dispatch.py: who may, what is served, and one answer for each command."""

from __future__ import annotations

import pytest

from roomcast.core.commands import NOT_YET
from roomcast.core.events import JsonObject
from roomcast.core.limits import Limits
from roomcast.core.session import Role
from tests.support import virtual_time
from tests.support.rig import a_rig, said

LATER: dict[str, JsonObject] = {
    "response.steer": {"response_id": "resp_x", "input": "x"},
    "response.regenerate": {"response_id": "resp_x"},
    "item.edit": {"item_id": "msg_x", "content": "x"},
    "item.retract": {"item_id": "msg_x"},
    "item.rate": {"item_id": "msg_x", "rating": 1},
    "branch.select": {"item_id": "msg_x"},
    "tool.decide": {"call_id": "call_x", "decision": "approve", "arguments_digest": "sha256:0"},
    "tool.output": {"call_id": "call_x", "output": "x"},
    "history.search": {"query": "x"},
}


def test_nothing_of_a_room_is_served_before_somebody_said_who_they_are() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            stranger = rig.viewer("stranger")
            stranger.caller.authenticated = False
            for kind, fields in {"room.join": {}, "message.create": {"content": "x"}, "history.list": {}}.items():
                reply = await stranger.command(kind, "lobby", **fields)
                assert reply["error"]["code"] == "unauthenticated", kind
            assert (await stranger.command("session.ping"))["ok"]
            assert not await rig.hub.exists("lobby")

    virtual_time.run(scenario())


def test_the_list_of_what_comes_later_is_whole() -> None:
    assert {str(command.__struct_config__.tag) for command in NOT_YET} == set(LATER)


@pytest.mark.parametrize("kind", LATER)
def test_what_comes_later_is_refused_by_name_and_has_no_effect(kind: str) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            reply = await ann.command(kind, "lobby", **LATER[kind])
            assert (reply["error"]["code"], reply["error"]["retryable"]) == ("not_supported", False)
            assert not await rig.hub.exists("lobby")

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("role", "allowed"), [(Role.VIEWER, False), (Role.SPEAKER, True), (Role.MODERATOR, True), (Role.OWNER, True)]
)
def test_who_may_only_look_can_neither_ask_nor_stop(role: Role, allowed: bool) -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 5.0)) as rig:
            owner, other = rig.viewer("owner"), rig.viewer("other", role)
            await owner.ask("lobby", "x")
            assert (await other.command("room.join", "lobby"))["ok"]
            assert (await other.command("history.list", "lobby"))["ok"]
            for kind, fields in {"message.create": {"content": "x"}, "response.cancel": {}}.items():
                reply = await other.command(kind, "lobby", **fields)
                assert reply["ok"] == allowed, reply
                assert allowed or reply["error"]["code"] == "forbidden"

    virtual_time.run(scenario())


def test_commands_of_one_connection_for_one_room_are_decided_in_the_order_sent() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            ids = [ann.send("message.create", "lobby", content=str(index), respond="never") for index in range(20)]
            seqs = [(await ann.reply_to(command_id))["result"]["seq"] for command_id in ids]
            assert seqs == sorted(seqs)

    virtual_time.run(scenario())


def test_history_is_newest_first_and_pages_by_item() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            said_ids = [(await ann.ask("lobby", str(index), respond="never"))["item_id"] for index in range(7)]
            page = (await ann.command("history.list", "lobby", limit=3))["result"]
            assert [item["id"] for item in page["items"]] == said_ids[:3:-1]
            assert page["has_more"] is True
            rest = (await ann.command("history.list", "lobby", limit=10, before=said_ids[4]))["result"]
            assert [item["id"] for item in rest["items"]] == said_ids[3::-1]
            assert rest["has_more"] is False
            unknown = await ann.command("history.list", "lobby", before="msg_unknown")
            assert (unknown["error"]["code"], unknown["error"]["param"]) == ("item_not_found", "before")
            nowhere = await ann.command("history.list", "nowhere")
            assert nowhere["error"]["code"] == "room_not_found"
            assert not await rig.hub.exists("nowhere")

    virtual_time.run(scenario())


def test_a_page_of_history_is_no_longer_than_the_server_says() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(history_page_items=2)) as rig:
            ann = rig.viewer("ann")
            for index in range(5):
                await ann.ask("lobby", str(index), respond="never")
            page = (await ann.command("history.list", "lobby", limit=50))["result"]
            assert (len(page["items"]), page["has_more"]) == (2, True)

    virtual_time.run(scenario())


def test_a_page_of_history_is_bounded_in_bytes() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(snapshot_items_bytes=1_000)) as rig:
            ann = rig.viewer("ann")
            for _ in range(5):
                await ann.ask("lobby", "x" * 600, respond="never")
            page = (await ann.command("history.list", "lobby", limit=50))["result"]
            assert len(page["items"]) == 1
            assert page["has_more"] is True

    virtual_time.run(scenario())


def test_a_connection_joins_so_many_rooms_and_no_more_but_may_join_one_again() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(rooms_per_connection=2)) as rig:
            ann = rig.viewer("ann")
            assert (await ann.command("room.join", "a"))["ok"]
            assert (await ann.command("room.join", "b"))["ok"]
            assert (await ann.command("room.join", "c"))["error"]["code"] == "rate_limited"
            assert (await ann.command("room.join", "a"))["ok"]
            await ann.command("room.leave", "a")
            assert (await ann.command("room.join", "c"))["ok"]

    virtual_time.run(scenario())


def test_history_has_what_its_sender_sent_before_it() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            ann.send("room.join", "lobby")
            ann.send("message.create", "lobby", content="just now", respond="never")
            listed = (await ann.command("history.list", "lobby"))["result"]
            assert [item["content"][0]["text"] for item in listed["items"]] == ["just now"]

    virtual_time.run(scenario())
