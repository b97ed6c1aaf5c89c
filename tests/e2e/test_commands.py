"""Commands are carried out once, in order and in bounds (L5 to L7, L9, R9), whatever becomes of their connection."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_peer import Heard, RawPeer
from tests.support.server import ENDLESS, Server, roomcast_server
from tests.support.unharmed import assert_unharmed

QUICK = {
    "ROOMCAST_DEMO__FIRST_TOKEN_MS": "1",
    "ROOMCAST_DEMO__TOKENS_PER_SECOND": "100",
    "ROOMCAST_LIMITS__QUEUE_LENGTH": "3",
}
ASK: dict[str, Any] = {"content": "a short answer, please"}
NOTE: dict[str, Any] = {"content": "noted", "respond": "never"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("commands"), environ=QUICK) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Generator[Server]:
    """The server, which must be unharmed after each test."""
    yield running
    assert_unharmed(running)


@pytest.fixture
def ann(server: Server) -> Generator[RawPeer]:
    with RawPeer.upgraded(server.port, member="ann") as peer:
        yield peer


@pytest.fixture
def bob(server: Server) -> Generator[RawPeer]:
    with RawPeer.upgraded(server.port, member="bob") as peer:
        yield peer


def join(peer: RawPeer, room: str, **fields: Any) -> Heard:
    joined = peer.reply("room.join", room=room, **fields)
    assert joined["ok"], joined
    result: Heard = joined["result"]
    return result


def say(peer: RawPeer, room: str, **fields: Any) -> Heard:
    said = peer.reply("message.create", room=room, **fields)
    assert said["ok"], said
    result: Heard = said["result"]
    return result


def ending(peer: RawPeer, response_id: str) -> Heard:
    """The terminal of a response, which may have been passed over."""
    for got in peer.heard:
        if "digest" in got and got["response_id"] == response_id:
            return got
    while True:
        got = peer.hear()
        if "digest" in got and got["response_id"] == response_id:
            return got


def log_of(server: Server, room: str) -> list[Heard]:
    """All events of a room that still stand in its log, merged or not."""
    with RawPeer.upgraded(server.port, member="reader") as reader:
        epoch = join(reader, room)["epoch"]
        head = join(reader, room, after={"epoch": epoch, "seq": 0})["head"]
        while not reader.heard or reader.heard[-1].get("seq") != head:
            reader.hear()
        return [got for got in reader.heard if "at" in got and got.get("room") == room]


def kinds(server: Server, room: str) -> list[str]:
    return [got["type"] for got in log_of(server, room)]


# ---- once ------------------------------------------------------------------------------------


def test_L6_a_command_sent_from_two_sockets_at_once_is_carried_out_once(server: Server, ann: RawPeer) -> None:
    with RawPeer.upgraded(server.port, member="ann") as other:
        join(ann, "once")
        for peer in (ann, other, ann):
            peer.command("message.create", room="once", id="same", **ASK)
        replies = [peer.until_type("reply", id="same") for peer in (ann, other, ann)]
        assert replies[0] == replies[1] == replies[2]
        ending(ann, replies[0]["result"]["response_id"])
    assert (kinds(server, "once").count("item.created"), kinds(server, "once").count("response.created")) == (1, 1)


def test_L7_a_copy_after_a_reconnect_gets_the_reply_as_it_was_first(server: Server, ann: RawPeer) -> None:
    join(ann, "again")
    first = ann.reply("message.create", room="again", id="same", **ASK)
    assert first["result"]["status"] == "in_progress"
    ending(ann, first["result"]["response_id"])
    ann.reset()
    before = kinds(server, "again")
    with RawPeer.upgraded(server.port, member="ann") as back:
        assert back.reply("message.create", room="again", id="same", **ASK) == first
    assert kinds(server, "again") == before


def test_L6_a_copy_after_kill_9_gets_the_same_reply_and_starts_nothing(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=QUICK) as server, RawPeer.upgraded(server.port, member="ann") as ann:
        join(ann, "lobby")
        asked = ann.reply("message.create", room="lobby", id="asked", content=ENDLESS)
        noted = ann.reply("message.create", room="lobby", id="noted", **NOTE)
        cancelled = ann.reply("response.cancel", room="lobby", id="cancelled")
        assert (asked["ok"], noted["ok"], cancelled["result"]["status"]) == (True, True, "cancelling")
        server.kill()
    with roomcast_server(tmp_path, environ=QUICK) as server:
        with RawPeer.upgraded(server.port, member="ann") as ann:
            assert ann.reply("message.create", room="lobby", id="asked", content=ENDLESS) == asked
            assert ann.reply("message.create", room="lobby", id="noted", **NOTE) == noted
            assert ann.reply("response.cancel", room="lobby", id="cancelled") == cancelled
            reused = ann.reply("message.create", room="lobby", id="noted", content="another", respond="never")
            assert reused["error"]["code"] == "command_id_reused"
        assert kinds(server, "lobby").count("item.created") == 2
        assert kinds(server, "lobby").count("response.created") == 1
        endings = [got for got in log_of(server, "lobby") if "digest" in got]
        assert [got["type"] for got in endings] == ["response.cancelled"]
        assert_unharmed(server)


def test_an_id_stands_for_one_body_of_one_member_in_one_room(ann: RawPeer, bob: RawPeer) -> None:
    note = {"id": "n1", "respond": "never"}
    assert ann.reply("message.create", room="ids", content="one", **note)["ok"]
    reused = ann.reply("message.create", room="ids", content="two", **note)["error"]
    assert (reused["code"], reused["param"], reused["retryable"]) == ("command_id_reused", "id", False)
    assert ann.reply("response.cancel", room="ids", id="n1")["error"]["code"] == "command_id_reused"
    assert bob.reply("message.create", room="ids", content="two", **note)["ok"]
    assert ann.reply("message.create", room="ids-elsewhere", content="two", **note)["ok"]


def test_an_id_that_was_refused_may_be_used_again(ann: RawPeer) -> None:
    join(ann, "refused")
    running = say(ann, "refused", content=ENDLESS)["response_id"]
    rejected = ann.reply("message.create", room="refused", id="r1", on_busy="reject", **ASK)
    assert (rejected["error"]["code"], rejected["error"]["retryable"]) == ("room_busy", True)
    ann.reply("response.cancel", room="refused")
    ending(ann, running)
    accepted = ann.reply("message.create", room="refused", id="r1", on_busy="reject", **ASK)
    assert accepted["ok"]
    assert ending(ann, accepted["result"]["response_id"])["type"] == "response.completed"


def test_reads_and_joins_may_repeat_an_id(ann: RawPeer) -> None:
    for room in ("reads", "reads-2"):
        assert ann.reply("room.join", room=room, id="same")["ok"]
        assert ann.reply("history.list", room=room, id="same", limit=3)["ok"]
        assert ann.reply("session.ping", id="same")["ok"]


# ---- in order --------------------------------------------------------------------------------


def test_commands_of_one_connection_are_decided_in_the_order_sent(server: Server, ann: RawPeer) -> None:
    sent = [ann.command("message.create", room="order", content=str(number), respond="never") for number in range(60)]
    replies = [ann.until_type("reply") for _ in sent]
    assert [got["id"] for got in replies] == sent
    assert all(before["result"]["seq"] < after["result"]["seq"] for before, after in pairwise(replies))


def test_L9_joining_and_leaving_in_one_go_ends_as_the_last_one_says(ann: RawPeer, bob: RawPeer) -> None:
    join(bob, "doors")
    for kind in ("room.join", "room.leave", "room.join", "room.leave"):
        ann.command(kind, room="doors")
    assert all(ann.until_type("reply")["ok"] for _ in range(4))
    say(bob, "doors", **NOTE)
    for kind in ("room.join", "room.leave", "room.leave", "room.join"):
        ann.command(kind, room="doors")
    replies = [ann.until_type("reply") for _ in range(4)]
    assert [got.get("ok") for got in replies] == [True, True, False, True]
    assert replies[2]["error"]["code"] == "not_joined"
    seq = say(bob, "doors", **NOTE)["seq"]
    assert ann.until_type("item.created")["seq"] == seq
    seen = [got["seq"] for got in ann.heard if got["type"] == "item.created"]
    assert seen == [seq], "nothing came of what was said while it was out"


# ---- in bounds -------------------------------------------------------------------------------


def test_R9_prompts_wait_their_turn_up_to_the_bound_and_are_answered_in_order(server: Server, ann: RawPeer) -> None:
    join(ann, "queue")
    asked = [say(ann, "queue", **fields) for fields in ({"content": ENDLESS}, ASK, ASK, ASK)]
    assert [(each["status"], each.get("position")) for each in asked] == [
        ("in_progress", None),
        ("queued", 1),
        ("queued", 2),
        ("queued", 3),
    ]
    full = ann.reply("message.create", room="queue", **ASK)["error"]
    assert (full["code"], full["retryable"]) == ("queue_full", True)
    assert say(ann, "queue", **NOTE)["seq"] > 0, "what asks for no answer needs no place"
    withdrawn = ann.reply("response.cancel", room="queue", response_id=asked[2]["response_id"])["result"]
    assert withdrawn["status"] == "cancelled"
    ann.reply("response.cancel", room="queue", response_id=asked[0]["response_id"])
    endings = [ending(ann, each["response_id"]) for each in asked]
    assert [got["type"].partition(".")[2] for got in endings] == ["cancelled", "completed", "cancelled", "completed"]
    assert [endings[number]["seq"] for number in (2, 0, 1, 3)] == sorted(got["seq"] for got in endings)
    events = log_of(server, "queue")
    last_queue = [got["queue"] for got in events if got["type"] == "queue.updated"][-1]
    assert last_queue == []
    for each in asked:
        started = [
            got["seq"]
            for got in events
            if got["type"] == "response.in_progress" and got["response_id"] == each["response_id"]
        ]
        assert len(started) == (0 if each is asked[2] else 1)


def test_L5_two_members_cancel_at_once_and_it_ends_once(server: Server, ann: RawPeer, bob: RawPeer) -> None:
    join(ann, "both")
    running = say(ann, "both", content=ENDLESS)["response_id"]
    ann.until_type("response.output_text.delta")
    ann.command("response.cancel", room="both", id="c-ann")
    bob.command("response.cancel", room="both", id="c-bob", response_id=running)
    assert ann.until_type("reply", id="c-ann")["result"]["status"] == "cancelling"
    assert bob.until_type("reply", id="c-bob")["result"]["status"] in {"cancelling", "cancelled"}
    assert ending(ann, running)["receipt"]["by"]["id"] in {"ann", "bob"}
    late = ann.reply("response.cancel", room="both", response_id=running)
    assert late["result"] == {"response_id": running, "status": "cancelled"}
    found = kinds(server, "both")
    assert (found.count("response.cancelling"), found.count("response.cancelled")) == (1, 1)
    assert "response.output_text.delta" not in found[found.index("response.cancelling") :]


def test_L5_a_cancel_and_a_prompt_in_one_go_cancel_one_and_answer_the_other(ann: RawPeer) -> None:
    join(ann, "swap")
    first = say(ann, "swap", content=ENDLESS)["response_id"]
    ann.command("response.cancel", room="swap", id="stop")
    ann.command("message.create", room="swap", id="next", **ASK)
    assert ann.until_type("reply", id="stop")["result"]["status"] == "cancelling"
    second = ann.until_type("reply", id="next")["result"]["response_id"]
    assert ending(ann, first)["type"] == "response.cancelled"
    assert ending(ann, second)["type"] == "response.completed"


# ---- reading ---------------------------------------------------------------------------------


def test_history_comes_in_pages_newest_first_without_a_gap_or_a_repeat(ann: RawPeer) -> None:
    said = [say(ann, "pages", content=f"note {number}", respond="never")["item_id"] for number in range(25)]
    found: list[str] = []
    fields: dict[str, Any] = {}
    sizes: list[tuple[int, bool]] = []
    while not sizes or sizes[-1][1]:
        page = ann.reply("history.list", room="pages", limit=10, **fields)["result"]
        found += [item["id"] for item in page["items"]]
        sizes.append((len(page["items"]), page["has_more"]))
        fields = {"before": page["items"][-1]["id"]}
    assert found == said[::-1]
    assert sizes == [(10, True), (10, True), (5, False)]
    assert ann.reply("history.list", room="pages", before=said[0])["result"] == {"items": [], "has_more": False}


def test_history_has_what_the_model_said_with_whose_answer_it_is(ann: RawPeer) -> None:
    join(ann, "answers")
    asked = say(ann, "answers", **ASK)
    done = ending(ann, asked["response_id"])
    newest, oldest = ann.reply("history.list", room="answers")["result"]["items"]
    assert (oldest["id"], oldest["role"], oldest["by"]["id"]) == (asked["item_id"], "user", "ann")
    assert (newest["role"], newest["response_id"]) == ("assistant", asked["response_id"])
    [output] = done["response"]["output"]
    assert (newest["id"], newest["content"]) == (output["id"], output["content"])


# ---- presence --------------------------------------------------------------------------------


def test_members_are_seen_to_come_and_type_and_go(server: Server, ann: RawPeer) -> None:
    assert [member["id"] for member in join(ann, "faces")["members"]] == ["ann"]
    with RawPeer.upgraded(server.port, member="bob") as bob, RawPeer.upgraded(server.port, member="bob") as again:
        joined = join(bob, "faces")
        assert ([member["id"] for member in joined["members"]], joined["member_count"]) == (["ann", "bob"], 2)
        assert joined["you"] == {"id": "bob", "name": "bob", "role": "owner"}
        assert join(again, "faces")["member_count"] == 2
        came = ann.until_type("presence.updated", count=2)
        assert "bob" in {member["id"] for member in came["joined"]}
        assert bob.reply("presence.update", room="faces", state={"typing": True})["ok"]
        while not any(member.get("state") == {"typing": True} for member in ann.hear().get("changed", ())):
            pass
        too_large = bob.reply("presence.update", room="faces", state={"x": "y" * 2_000})
        assert (too_large["error"]["code"], too_large["error"]["param"]) == ("too_large", "state")
        bob.reset()
        assert again.reply("session.ping")["ok"]
        again.reply("room.leave", room="faces")
        gone = ann.until_type("presence.updated", count=1)
        assert gone["left"] == ["bob"]
