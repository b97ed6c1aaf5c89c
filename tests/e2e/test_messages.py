"""Messages that are no commands (I1 to I8, I10): the documented code and field, and the room unharmed."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from roomcast.core.commands import COMMAND_TYPES, NOT_YET
from tests.support.memory import MIB, rss_bytes
from tests.support.raw_peer import RawPeer
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("messages")) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Generator[Server]:
    """The server, which must be unharmed after each test."""
    yield running
    assert_unharmed(running)


@pytest.fixture
def peer(server: Server) -> Generator[RawPeer]:
    with RawPeer.upgraded(server.port, member="ann") as peer:
        yield peer


# ---- what gets no reply ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(" ", id="blank"),
        pytest.param("{", id="torn"),
        pytest.param('{"type":"session.ping","id":"c1"} x', id="more behind"),
        pytest.param('{"type":"session.ping","id":"c1"}{}', id="two"),
        pytest.param("{'type':'session.ping','id':'c1'}", id="another quote"),
        pytest.param('{"type":"session.ping","id":"c1",}', id="a comma too many"),
        pytest.param('{"type":"session.ping",/**/"id":"c1"}', id="a comment"),
        pytest.param("null", id="null"),
        pytest.param("true", id="true"),
        pytest.param("17", id="a number"),
        pytest.param('"session.ping"', id="a string"),
        pytest.param('[{"type":"session.ping","id":"c1"}]', id="an array"),
        pytest.param('\ufeff{"type":"session.ping","id":"c1"}', id="byte order mark"),
        pytest.param('{"type":"session.ping","id":"c1","x":NaN}', id="NaN"),
        pytest.param('{"type":"session.ping","id":"c1","x":-Infinity}', id="infinity"),
        pytest.param('{"type":"session.ping","id":"c1","x":1e400}', id="out of range"),
        pytest.param('{"type":"session.ping","id":"c1","x":' + "9" * 5_000 + "}", id="many digits"),
        pytest.param('{"type":"session.ping","id":"c1","id":"c1"}', id="a key twice"),
        pytest.param('{"type":"session.ping","id":"c1","x":{"a":1,"\\u0061":2}}', id="a key twice, deeper"),
        pytest.param('{"type":"session.ping","id":"c1","x":"\\ud83c"}', id="half a surrogate pair"),
        pytest.param('{"type":"session.ping","id":"c1","\\udf89":1}', id="half a surrogate pair as a name"),
        pytest.param('{"type":"session.ping","id":"c1","x":"\t"}', id="a bare tab"),
        pytest.param('{"type":"session.ping","id":"c1","x":' + "[" * 33 + "]" * 33 + "}", id="deep"),
        pytest.param('{"type":"session.ping","id":"c1","x":' + "[" * 1_025 + "]" * 1_025 + "}", id="I2 1,025 deep"),
        pytest.param('{"type":"session.ping","id":"c1","x":' + "[" * 60_000, id="I2 very deep"),
        pytest.param('{"a":' * 12_000, id="very deep objects"),
        pytest.param("{}," * 21_000, id="I3 many objects"),
        pytest.param('"' * 65_000, id="many quotes"),
    ],
)
def test_I1_what_is_no_json_object_is_answered_invalid_json(peer: RawPeer, text: str) -> None:
    peer.text(text)
    got = peer.hear()
    assert (got["type"], got["error"]["code"], got["error"]["retryable"]) == ("error", "invalid_json", False)
    assert peer.reply("session.ping")["ok"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"type": "session.ping"}, "missing_field"),
        ({"type": "session.ping", "id": None}, "invalid_value"),
        ({"type": "session.ping", "id": 17}, "invalid_value"),
        ({"type": "session.ping", "id": ""}, "invalid_value"),
        ({"type": "session.ping", "id": "a b"}, "invalid_value"),
        ({"type": "session.ping", "id": "ä"}, "invalid_value"),
        ({"type": "session.ping", "id": "c1\n"}, "invalid_value"),
        ({"type": "session.ping", "id": "c" * 65}, "invalid_value"),
        ({"type": "session.ping", "id": ["c1"]}, "invalid_value"),
    ],
)
def test_I1_a_command_that_no_reply_can_name_is_answered_by_an_error(
    peer: RawPeer, command: dict[str, Any], code: str
) -> None:
    peer.text(json.dumps(command))
    got = peer.hear()
    assert (got["type"], got["error"]["code"], got["error"]["param"]) == ("error", code, "id")


def test_the_20th_error_within_a_minute_closes_4400(peer: RawPeer) -> None:
    for number in range(20):
        peer.text("{" if number % 2 else "{}")
    errors = [peer.hear() for _ in range(20)]
    assert {got["type"] for got in errors} == {"error"}
    assert peer.goodbye() == 4400


def test_refusals_that_are_replies_do_not_count_towards_4400(peer: RawPeer) -> None:
    for _ in range(40):
        assert not peer.reply("nothing.there")["ok"]
    assert peer.reply("session.ping")["ok"]


# ---- what gets a refusal ---------------------------------------------------------------------

SAY = {"type": "message.create", "room": "lobby", "content": "x"}
JOIN = {"type": "room.join", "room": "lobby"}
CREATE = {"type": "response.create", "room": "lobby", "input": "x"}


@pytest.mark.parametrize(
    ("command", "code", "param"),
    [
        pytest.param({}, "missing_field", "type", id="no type"),
        pytest.param({"type": 17}, "invalid_type", "type", id="a type of another type"),
        pytest.param({"type": "room.explode"}, "unknown_command", "type", id="I7 unknown"),
        pytest.param({"type": "Room.Join"}, "unknown_command", "type", id="I7 another case"),
        pytest.param({"type": "session.ping", "x": 1}, "unknown_field", "x", id="unknown field"),
        pytest.param({**SAY, "model": "gpt-x"}, "unknown_field", "model", id="I10 a model"),
        pytest.param({**SAY, "base_url": "http://evil"}, "unknown_field", "base_url", id="I10 an address"),
        pytest.param({**CREATE, "api_key": "sk-x"}, "unknown_field", "api_key", id="I10 a key"),
        pytest.param({**CREATE, "extra_headers": {}}, "unknown_field", "extra_headers", id="I10 headers"),
        pytest.param({**CREATE, "stream": False}, "unknown_field", "stream", id="a field that is ours"),
        pytest.param({"type": "room.join"}, "missing_field", "room", id="no room"),
        pytest.param({"type": "room.join", "room": 17}, "invalid_type", "room", id="room, a number"),
        pytest.param({"type": "room.join", "room": None}, "invalid_type", "room", id="room, null"),
        *(
            pytest.param({"type": "room.join", "room": room}, "invalid_value", "room", id=f"I5 room {number}")
            for number, room in enumerate(
                ["", ".", "..", "a/../b", "a\0b", "a\nb", "a\n", "\u202egnp", "a b", "*", ">", "{a}", "a'--", "é"]
            )
        ),
        pytest.param({"type": "room.join", "room": "r" * 10_000}, "invalid_value", "room", id="I5 a long room"),
        pytest.param({**JOIN, "after": 17}, "invalid_type", "after", id="cursor, a number"),
        pytest.param({**JOIN, "after": {"seq": 1}}, "missing_field", "after.epoch", id="cursor without epoch"),
        pytest.param({**JOIN, "after": {"epoch": "e", "seq": "1"}}, "invalid_type", "after.seq", id="I4 seq, a string"),
        pytest.param({**JOIN, "after": {"epoch": "e", "seq": 1.0}}, "invalid_type", "after.seq", id="I4 seq, a float"),
        pytest.param({**JOIN, "after": {"epoch": "e", "seq": True}}, "invalid_type", "after.seq", id="I4 seq, a truth"),
        pytest.param({**JOIN, "after": {"epoch": "e", "seq": -1}}, "invalid_value", "after.seq", id="I4 seq, negative"),
        pytest.param({**JOIN, "after": {"epoch": "e", "seq": 2**64}}, "invalid_value", "after.seq", id="I4 seq, 2^64"),
        pytest.param(
            {**JOIN, "after": {"epoch": "e", "seq": 1, "x": 1}}, "unknown_field", "after.x", id="cursor, more"
        ),
        pytest.param({**JOIN, "include": ["magic"]}, "invalid_value", "include[0]", id="an unknown kind"),
        pytest.param({**JOIN, "include": []}, "not_supported", "include", id="no kinds, later"),
        pytest.param({**JOIN, "tools": ["t"]}, "not_supported", "tools", id="tools, later"),
        pytest.param({**JOIN, "on_slow": "wait"}, "invalid_value", "on_slow", id="an unknown policy"),
        pytest.param({**JOIN, "items": -1}, "invalid_value", "items", id="negative items"),
        pytest.param({"type": "message.create", "room": "lobby"}, "missing_field", "content", id="no content"),
        pytest.param({**SAY, "content": None}, "invalid_type", "content", id="content, null"),
        pytest.param({**SAY, "content": 17}, "invalid_type", "content", id="content, a number"),
        pytest.param({**SAY, "content": []}, "invalid_value", "content", id="content, nothing"),
        pytest.param({**SAY, "content": ["x"]}, "invalid_type", "content[0]", id="part, a string"),
        pytest.param({**SAY, "content": [{"text": "x"}]}, "missing_field", "content[0].type", id="part, no type"),
        pytest.param(
            {**SAY, "content": [{"type": "input_text"}]}, "missing_field", "content[0].text", id="part, no text"
        ),
        pytest.param(
            {**SAY, "content": [{"type": "input_image", "image_url": "http://evil"}]},
            "not_supported",
            "content[0].type",
            id="I10 an image",
        ),
        pytest.param({**SAY, "respond": "maybe"}, "invalid_value", "respond", id="respond, unknown"),
        pytest.param({**SAY, "on_busy": "steer"}, "not_supported", "on_busy", id="on_busy, later"),
        pytest.param({**SAY, "parent_id": "msg_nobody"}, "item_not_found", "parent_id", id="unknown parent"),
        pytest.param({**SAY, "profile": "nobody"}, "invalid_value", "profile", id="unknown profile"),
        pytest.param({**CREATE, "temperature": "hot"}, "invalid_type", "temperature", id="temperature, a string"),
        pytest.param({**CREATE, "temperature": 9}, "invalid_value", "temperature", id="temperature, too hot"),
        pytest.param({**CREATE, "metadata": {"n": 2**60}}, "invalid_type", "metadata[...]", id="metadata, a number"),
        pytest.param({"type": "response.cancel", "room": "lobby"}, "no_running_response", None, id="I7 nothing runs"),
        pytest.param(
            {"type": "response.cancel", "room": "lobby", "response_id": "resp_nobody"},
            "response_not_found",
            "response_id",
            id="I7 unknown response",
        ),
        pytest.param({"type": "room.leave", "room": "lobby"}, "not_joined", "room", id="I7 leave before join"),
        pytest.param(
            {"type": "presence.update", "room": "lobby", "state": {}},
            "not_joined",
            "room",
            id="I7 presence before join",
        ),
        pytest.param({"type": "history.list", "room": "nowhere"}, "room_not_found", "room", id="history of nothing"),
        pytest.param({"type": "history.list", "room": "lobby", "limit": 0}, "invalid_value", "limit", id="no page"),
        pytest.param(
            {"type": "history.list", "room": "lobby", "before": "msg_no"}, "item_not_found", "before", id="no such page"
        ),
    ],
)
def test_I4_a_command_that_is_wrong_is_refused_with_its_code_and_field(
    peer: RawPeer, command: dict[str, Any], code: str, param: str | None
) -> None:
    assert peer.reply("message.create", room="lobby", content="so that the room is there", respond="never")["ok"]
    peer.text(json.dumps({"id": "wrong-1", **command}))
    got = peer.until_type("reply", id="wrong-1")
    assert (got["ok"], got["error"]["code"], got["error"].get("param")) == (False, code, param)


LATER: dict[str, dict[str, Any]] = {
    "response.steer": {"response_id": "resp_x", "input": "x"},
    "response.regenerate": {"response_id": "resp_x"},
    "item.edit": {"item_id": "msg_x", "content": "x"},
    "item.retract": {"item_id": "msg_x"},
    "item.rate": {"item_id": "msg_x", "rating": 1},
    "branch.select": {"item_id": "msg_x"},
    "tool.decide": {"call_id": "call_x", "decision": "approve", "arguments_digest": "sha256:x"},
    "tool.output": {"call_id": "call_x", "output": "x"},
    "history.search": {"query": "x"},
}


@pytest.mark.parametrize("kind", sorted(LATER))
def test_commands_of_later_versions_are_answered_not_supported(peer: RawPeer, kind: str) -> None:
    got = peer.reply(kind, room="lobby", **LATER[kind])
    assert (got["error"]["code"], got["error"]["param"]) == ("not_supported", "type")


@pytest.mark.parametrize("kind", sorted(LATER))
def test_their_shape_is_checked_first(peer: RawPeer, kind: str) -> None:
    assert peer.reply(kind, room="lobby", **LATER[kind], nonsense=1)["error"]["code"] == "unknown_field"


def test_every_command_of_a_later_version_is_in_the_table_above() -> None:
    assert {str(kind.__struct_config__.tag) for kind in NOT_YET} == LATER.keys()
    assert LATER.keys() < COMMAND_TYPES.keys()


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "a\u2028b\u2029c",
        "e" + "\u0301" * 32_600,
        "\u202eright to left",
        "😀\u200d👩",
        "<script>",
        "'; drop table --",
    ],
    ids=["NUL", "separators", "marks", "direction", "emoji", "markup", "SQL"],
)
def test_I6_odd_text_arrives_as_it_was_sent(peer: RawPeer, text: str) -> None:
    peer.reply("room.join", room="odd")
    peer.reply("message.create", room="odd", content=text, respond="never")
    content = [{"type": "input_text", "text": text}]
    listed = peer.reply("history.list", room="odd", limit=1)
    assert listed["result"]["items"][0]["content"] == content
    joined = peer.reply("room.join", room="odd")
    assert joined["result"]["snapshot"]["items"][-1]["content"] == content


@pytest.mark.parametrize(
    ("after", "why"),
    [({"epoch": "another", "seq": 1}, "epoch_changed"), ({"seq": 2**40}, "ahead_of_head"), (None, "new")],
)
def test_I8_a_cursor_that_does_not_fit_is_answered_by_a_snapshot_that_says_why(
    peer: RawPeer, after: dict[str, Any] | None, why: str
) -> None:
    epoch = peer.reply("room.join", room="cursors")["result"]["epoch"]
    given = {} if after is None else {"after": {"epoch": epoch, **after}}
    joined = peer.reply("room.join", room="cursors", **given)["result"]
    assert (joined["resumed"], joined["reset"], joined["seq"]) == (False, why, joined["head"])
    assert joined["snapshot"]["room"]["name"] == "cursors"


def test_I8_a_cursor_of_another_room_is_none_of_this_one(peer: RawPeer) -> None:
    for room in ("here", "there"):
        for text in ("one", "two"):
            assert peer.reply("message.create", room=room, content=f"{text} {room}", respond="never")["ok"]
    there = peer.reply("room.join", room="there")["result"]
    joined = peer.reply("room.join", room="here", after={"epoch": there["epoch"], "seq": there["seq"]})["result"]
    assert (joined["resumed"], joined["reset"]) == (False, "epoch_changed")
    assert [item["content"][0]["text"] for item in joined["snapshot"]["items"]] == ["one here", "two here"]


def test_I7_joining_twice_from_the_same_cursor_gives_what_follows_twice_and_then_once(peer: RawPeer) -> None:
    joined = peer.reply("room.join", room="twice")["result"]
    seqs = [peer.reply("message.create", room="twice", content="x", respond="never")["result"]["seq"] for _ in range(3)]
    after = {"epoch": joined["epoch"], "seq": joined["seq"]}
    for _ in range(2):
        assert peer.reply("room.join", room="twice", after=after)["result"]["resumed"]
        assert [peer.until_type("item.created")["seq"] for _ in seqs] == seqs
    heard = len(peer.heard)
    for text in ("y", "z"):
        peer.command("message.create", room="twice", content=text, respond="never")
    while len(created := [got["seq"] for got in peer.heard[heard:] if got["type"] == "item.created"]) < 2:
        peer.hear()
    assert created == [seqs[-1] + 1, seqs[-1] + 2]


@pytest.mark.parametrize(
    "unit", ["{},", "[],", '"",', "1,", '{"a":{}},'], ids=["objects", "lists", "texts", "numbers", "nested"]
)
def test_I3_what_is_costly_to_parse_is_refused_and_its_memory_given_back(
    server: Server, peer: RawPeer, unit: str
) -> None:
    """64 KiB of small values, thirty times: each is parsed whole, since only its schema is wrong."""
    values = (unit * (65_000 // len(unit))).rstrip(",")
    before_bytes = rss_bytes(server)
    for number in range(30):
        peer.text(f'{{"type":"session.ping","id":"p{number}","x":[{values}]}}')
        refused = peer.until_type("reply", id=f"p{number}")["error"]
        assert (refused["code"], refused["param"]) == ("unknown_field", "x")
    assert rss_bytes(server) - before_bytes < 16 * MIB
