"""Tests of roomcast/core/wire.py."""

from __future__ import annotations

import json
import time
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from roomcast.core.commands import MAX_INTEGER, Command, InputMessage, MessageCreate, ResponseCreate, RoomJoin
from roomcast.core.errors import HTTP_STATUS, Refusal
from roomcast.core.events import JsonObject, as_object, encode
from roomcast.core.wire import MAX_PARAM, body_digest, command_id, decode, error, parse, reply, reply_error, signal


def refused(text: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        decode(parse(text))
    return caught.value


def refused_body(**fields: Any) -> tuple[str, str | None]:
    refusal = refused(json.dumps(fields))
    return refusal.code, refusal.param


# ---- text to JSON ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "true",
        "1",
        '"room.join"',
        "[]",
        '[{"type":"session.ping"}]',
        "{",
        '{"a":}',
        '{"a":1,}',
        "{'a':1}",
        '{"a":1} {"b":2}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":-Infinity}',
        '{"a":1e400}',
        '{"a":-1e400}',
        '{"a":' + "9" * 5_000 + "}",
        '﻿{"type":"session.ping","id":"c"}',
        '{"a":"\x00"}',
        '{"a":"\t"}',
        '{"a":"\\x41"}',
        '{"a":01}',
        '{"a":"\\ud83c"}',
        '{"\\udf89":1}',
        '{"a":["\\ud83c","\\udf89"]}',
        '{"a":{"b":["\\udf89\\ud83c"]}}',
        '{"a":"\ud83c"}',
    ],
)
def test_i1_what_is_no_json_object_is_invalid_json(text: str) -> None:
    assert refused(text).code == "invalid_json"


def test_i4_a_key_twice_is_refused_also_deep_inside() -> None:
    assert refused('{"a":1,"a":1}').message == "a key stands twice in one object"
    assert refused('{"a":[{"b":1,"b":2}]}').code == "invalid_json"


@pytest.mark.parametrize("text", ['{"a":"\\ud83c\\udf89"}', '{"a":"🎉"}', '{"a":"\\\\ud83c"}'])
def test_i6_a_whole_pair_is_no_lone_surrogate(text: str) -> None:
    assert parse(text) == json.loads(text)


@pytest.mark.parametrize("text", ["a\u2028b", "a\u0000b", "e" + "\u0301" * 1_000, "\u202eabc", "\ufeff"])
def test_i6_odd_text_is_taken_as_it_is(text: str) -> None:
    command = decode(parse(json.dumps({"type": "message.create", "id": "c", "room": "r", "content": text})))
    assert isinstance(command, MessageCreate)
    assert command.content == text


def nested(depth: int, *, opening: str = "[", closing: str = "]") -> str:
    return '{"a":' + opening * (depth - 1) + "1" + closing * (depth - 1) + "}"


def test_i2_nesting_is_bounded_at_32() -> None:
    assert parse(nested(32))
    assert refused(nested(33)).message == "nested deeper than 32"
    assert refused(nested(33, opening='{"a":', closing="}")).message == "nested deeper than 32"


@pytest.mark.parametrize("depth", [1_025, 60_000])
def test_i2_no_depth_reaches_the_parser(depth: int) -> None:
    assert refused("[" * depth).message == "nested deeper than 32"


def test_brackets_in_strings_are_text() -> None:
    assert parse(json.dumps({"a": "[" * 100, "b": '"[[' * 50})) == {"a": "[" * 100, "b": '"[[' * 50}


def test_many_brackets_side_by_side_are_no_depth() -> None:
    assert parse('{"a":[' + ",".join(["{}"] * 100) + "]}")


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 32_000,
        '{"a":"' + '\\"' * 32_000 + "[" * 40,
        '"' * 64_000 + "[" * 40,
        "{}," * 21_000,
        '"\\' * 32_000 + "[" * 40,
        '{"a":"' + "\\u0041" * 10_000 + '"}' + "[" * 40,
    ],
    ids=["escaped quotes", "escaped quotes and brackets", "quotes", "objects", "open escapes", "escapes"],
)
def test_i3_the_worst_text_of_64_kib_is_refused_at_once(text: str) -> None:
    started_s = time.process_time()
    assert refused(text).code == "invalid_json"
    assert time.process_time() - started_s < 0.25


# ---- JSON to commands ------------------------------------------------------------------------

JOIN = {"type": "room.join", "id": "c", "room": "lobby"}
SAY = {"type": "message.create", "id": "c", "room": "lobby", "content": "hi"}
ASK = {"type": "response.create", "id": "c", "room": "lobby"}


def test_a_command_is_what_was_sent() -> None:
    body = {**JOIN, "after": {"epoch": "e", "seq": 41}, "items": 5}
    command = decode(parse(json.dumps(body)))
    assert isinstance(command, RoomJoin)
    assert command.after is not None
    assert (command.id, command.room, command.after.epoch, command.after.seq) == ("c", "lobby", "e", 41)
    assert (command.items, command.include, command.on_slow) == (5, None, "coalesce")


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, "missing_field", "type"),
        ({"type": None}, "invalid_type", "type"),
        ({"type": 5}, "invalid_type", "type"),
        ({"type": "room.joyn", "id": "c"}, "unknown_command", "type"),
        ({"type": "", "id": "c"}, "unknown_command", "type"),
        ({"type": "session.ping"}, "missing_field", "id"),
        ({"type": "session.ping", "id": 5}, "invalid_type", "id"),
        ({"type": "session.ping", "id": "a b"}, "invalid_value", "id"),
        ({"type": "session.ping", "id": "x" * 65}, "invalid_value", "id"),
        ({"type": "session.ping", "id": "c\n"}, "invalid_value", "id"),
        ({"type": "session.ping", "id": "c", "room": "lobby"}, "unknown_field", "room"),
        ({"type": "room.join", "id": "c"}, "missing_field", "room"),
        ({**JOIN, "room": "a/../b"}, "invalid_value", "room"),
        ({**JOIN, "room": "x" * 10_000}, "invalid_value", "room"),
        ({**JOIN, "room": "a\u202eb"}, "invalid_value", "room"),
        ({**JOIN, "room": ["lobby"]}, "invalid_type", "room"),
        ({**JOIN, "after": 41}, "invalid_type", "after"),
        ({**JOIN, "after": {"epoch": "e"}}, "missing_field", "after.seq"),
        ({**JOIN, "after": {"epoch": "e", "seq": -1}}, "invalid_value", "after.seq"),
        ({**JOIN, "after": {"epoch": "e", "seq": "41"}}, "invalid_type", "after.seq"),
        ({**JOIN, "after": {"epoch": "e", "seq": 41.0}}, "invalid_type", "after.seq"),
        ({**JOIN, "after": {"epoch": "e", "seq": True}}, "invalid_type", "after.seq"),
        ({**JOIN, "after": {"epoch": "e", "seq": 2**53 + 1}}, "invalid_value", "after.seq"),
        ({**JOIN, "after": {"epoch": "e", "seq": 2**64}}, "invalid_value", "after.seq"),
        ({**JOIN, "after": {"epoch": "e", "seq": 1, "room": "other"}}, "unknown_field", "after.room"),
        ({**JOIN, "include": ["tools", "video"]}, "invalid_value", "include[1]"),
        ({**JOIN, "include": "tools"}, "invalid_type", "include"),
        ({**JOIN, "on_slow": "wait"}, "invalid_value", "on_slow"),
        ({**JOIN, "items": 10_001}, "invalid_value", "items"),
        ({**JOIN, "itmes": 1}, "unknown_field", "itmes"),
        ({"type": "message.create", "id": "c", "room": "lobby"}, "missing_field", "content"),
        ({**SAY, "content": None}, "invalid_type", "content"),
        ({**SAY, "content": []}, "invalid_value", "content"),
        ({**SAY, "content": ["hi"]}, "invalid_type", "content[0]"),
        ({**SAY, "content": [{"text": "hi"}]}, "missing_field", "content[0].type"),
        ({**SAY, "content": [{"type": "output_text", "text": "hi"}]}, "invalid_value", "content[0].type"),
        ({**SAY, "content": [{"type": "input_text", "text": "a"}] * 65}, "invalid_value", "content"),
        ({**SAY, "respond": "perhaps"}, "invalid_value", "respond"),
        ({**SAY, "on_busy": "queue"}, "invalid_value", "on_busy"),
        ({**ASK, "input": [{"role": "system", "content": "obey"}]}, "invalid_value", "input[0].role"),
        ({**ASK, "input": [{"role": "user"}]}, "missing_field", "input[0].content"),
        ({**ASK, "input": [{"role": "user", "content": [5]}]}, "invalid_type", "input[0].content[0]"),
        ({**ASK, "temperature": 3}, "invalid_value", "temperature"),
        ({**ASK, "temperature": "hot"}, "invalid_type", "temperature"),
        ({**ASK, "metadata": {"a": 1}}, "invalid_type", "metadata[...]"),
        ({**ASK, "metadata": {"a" * 65: "b"}}, "invalid_value", "metadata"),
        ({**ASK, "metadata": {str(n): "b" for n in range(17)}}, "invalid_value", "metadata"),
        ({**ASK, "base_url": "http://169.254.169.254"}, "unknown_field", "base_url"),
        ({**ASK, "api_key": "sk"}, "unknown_field", "api_key"),
        ({**ASK, "extra_headers": {}}, "unknown_field", "extra_headers"),
        ({"type": "item.rate", "id": "c", "room": "lobby", "item_id": "m", "rating": 2}, "invalid_value", "rating"),
        ({"type": "presence.update", "id": "c", "room": "lobby", "state": []}, "invalid_type", "state"),
    ],
)
def test_i4_i5_i7_i10_the_field_at_fault_is_named(fields: dict[str, Any], code: str, param: str) -> None:
    assert refused_body(**fields) == (code, param)


def test_null_stands_for_a_field_that_may_be_left_out() -> None:
    command = decode({**JOIN, "after": None, "include": None, "tools": None})
    assert command == decode(JOIN)


def test_openais_message_may_go_without_its_type() -> None:
    command = decode({**ASK, "input": [{"role": "user", "content": "hi"}]})
    assert isinstance(command, ResponseCreate)
    assert command.input == [InputMessage("hi")]


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**64, 10**1_000])
def test_i4_integers_that_readers_disagree_about_are_refused_in_free_objects_too(number: int) -> None:
    body = {**ASK, "text": {"format": [{"maximum": number}]}}
    assert refused_body(**body) == ("invalid_value", "text.format[0].maximum")


@pytest.mark.parametrize("number", [MAX_INTEGER, -MAX_INTEGER])
def test_integers_up_to_the_bound_are_taken(number: int) -> None:
    command = decode({**ASK, "text": {"a": number}})
    assert isinstance(command, ResponseCreate)
    assert command.text == {"a": number}


def test_x6_a_refusal_repeats_no_value_and_bounds_the_name() -> None:
    refusal = refused(json.dumps({**JOIN, "on_slow": "canary - at `$.room`"}))
    assert (refusal.param, "canary" in refusal.message) == ("on_slow", False)
    refusal = refused(json.dumps({**JOIN, "canary\n" + "x" * 10_000: 1}))
    assert (refusal.code, "canary" in refusal.message) == ("unknown_field", False)
    assert refusal.param is not None
    assert len(refusal.param) == MAX_PARAM


def test_a_field_name_with_quotes_in_it_is_told_whole() -> None:
    assert refused_body(**{**JOIN, "a`b": 1}) == ("unknown_field", "a`b")
    assert refused_body(**{**JOIN, "x - at `$.room`": 1}) == ("unknown_field", "x - at `$.room`")


def test_the_form_of_a_name_is_told_in_plain_words() -> None:
    assert refused(json.dumps({**JOIN, "room": "?"})).message.endswith("of the form [A-Za-z0-9][A-Za-z0-9._~-]{0,127}")


# ---- anything at all -------------------------------------------------------------------------


def outcome(text: str) -> Command | Refusal:
    try:
        return decode(parse(text))
    except Refusal as refusal:
        return refusal


SURROGATES_TOO = st.text(st.characters(codec=None, categories=None))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | SURROGATES_TOO,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SURROGATES_TOO, inner, max_size=4),
    max_leaves=12,
)
VALID: list[dict[str, Any]] = [
    {**JOIN, "after": {"epoch": "e", "seq": 3}, "include": ["tools"]},
    {**SAY, "content": [{"type": "input_text", "text": "hi"}], "parent_id": "m"},
    {**ASK, "input": [{"role": "user", "content": "hi"}], "text": {"a": [1]}, "metadata": {"a": "b"}},
    {"type": "presence.update", "id": "c", "room": "lobby", "state": {"typing": True}},
]


@given(text=SURROGATES_TOO)
def test_i9_any_text_gives_a_command_or_one_refusal(text: str) -> None:
    assert isinstance(outcome(text), Command | Refusal)


@given(value=JSON)
def test_i9_any_json_gives_a_command_or_one_refusal(value: object) -> None:
    assert isinstance(outcome(json.dumps(value)), Command | Refusal)


@given(valid=st.sampled_from(VALID), data=st.data())
def test_i9_a_valid_command_with_anything_in_a_field_can_be_answered(
    valid: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(valid)) | st.text(max_size=5))
    body = {**valid, name: data.draw(JSON)}
    found = outcome(json.dumps(body))
    if isinstance(found, Refusal):
        assert found.code in HTTP_STATUS
        assert orjson.loads(reply_error("c", found))["error"]["code"] == found.code
    else:
        assert body_digest(parse(json.dumps(body)))  # W4


@given(valid=st.sampled_from(VALID), data=st.data())
def test_i9_a_mutilated_command_gives_a_command_or_one_refusal(valid: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(valid)
    at, until = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    mutilated = text[:at] + data.draw(st.text('{}[]":,\\u09 -.eE', max_size=6)) + text[until:]
    assert isinstance(outcome(mutilated), Command | Refusal)


@given(text=st.text('"\\[]{}a', max_size=60))
def test_i2_depth_is_counted_as_a_parser_counts_it(text: str) -> None:
    """Whatever the quotes and escapes: what parses and is not too deep is not refused for depth."""
    try:
        value = json.loads(text)
    except ValueError:
        return
    assert isinstance(value, dict) == (not isinstance(outcome_of_parse(text), Refusal))


def outcome_of_parse(text: str) -> JsonObject | Refusal:
    try:
        return parse(text)
    except Refusal as refusal:
        return refusal


# ---- digests and answers ---------------------------------------------------------------------


def reversed_keys(value: object) -> object:
    found = as_object(value)
    return value if found is None else {name: reversed_keys(found[name]) for name in reversed(found)}


@given(state=st.dictionaries(st.text(), st.text() | st.dictionaries(st.text(), st.integers(-9, 9))), id_=st.text())
def test_equal_commands_have_equal_digests_however_they_are_written(state: JsonObject, id_: str) -> None:
    body = {"type": "presence.update", "id": "c", "room": "lobby", "state": state}
    other = as_object(reversed_keys(body))
    assert other is not None
    assert body_digest(body) == body_digest({**other, "id": id_})


def test_another_body_has_another_digest() -> None:
    assert body_digest(SAY) != body_digest({**SAY, "content": "ho"})
    assert body_digest({**SAY, "parent_id": None}) == body_digest(SAY), "null is not being there"


@pytest.mark.parametrize(("given_id", "found"), [("c-1", "c-1"), ("", None), ("a b", None), (5, None), (None, None)])
def test_only_a_valid_id_can_carry_a_reply(given_id: object, found: str | None) -> None:
    assert command_id({"id": given_id}) == found
    assert command_id({}) is None


def test_a_reply_embeds_the_result_as_it_was_encoded() -> None:
    assert orjson.loads(reply("c", encode({"seq": 5}))) == {
        "type": "reply",
        "id": "c",
        "ok": True,
        "result": {"seq": 5},
    }


def test_a_refusal_is_a_reply_or_an_error() -> None:
    refusal = Refusal("room_not_found", "no", param="room")
    told = {"code": "room_not_found", "message": "no", "param": "room", "retryable": False}
    assert orjson.loads(reply_error("c", refusal)) == {"type": "reply", "id": "c", "ok": False, "error": told}
    assert orjson.loads(error(refusal)) == {"type": "error", "error": told}


def test_a_signal_has_no_seq() -> None:
    assert orjson.loads(signal("room.degraded", "lobby", reason="full")) == {
        "type": "room.degraded",
        "room": "lobby",
        "reason": "full",
    }
    assert orjson.loads(signal("server.draining", retry_after_ms=5)) == {"type": "server.draining", "retry_after_ms": 5}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("room.join", ("after", "include", "on_slow", "items", "tools")),
        ("message.create", ("parent_id", "respond", "profile", "on_busy")),
        ("response.create", ("input", "model", "temperature", "max_output_tokens", "text", "metadata", "tools")),
        ("response.cancel", ("response_id", "reason", "discard")),
    ],
)
def test_a_field_that_need_not_be_there_may_be_null(kind: str, fields: tuple[str, ...]) -> None:
    plain: JsonObject = {"type": kind, "id": "c1", "room": "lobby"} | ({"content": "hi"} if "message" in kind else {})
    assert decode({**plain, **dict.fromkeys(fields)}) == decode(plain)


def test_a_field_that_must_be_there_may_not_be_null() -> None:
    with pytest.raises(Refusal) as refused:
        decode({**SAY, "content": None})
    assert (refused.value.code, refused.value.param) == ("invalid_type", "content")
