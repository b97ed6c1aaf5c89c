"""Tests of roomcast/upstream/payload.py."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.upstream.payload import (
    MAX_DEPTH,
    BadPayload,
    Halves,
    as_list,
    as_object,
    mend,
    mend_text,
    parse_object,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud83c\udf89\ud800\udfffa"))
"""Also halves of surrogate pairs, which `st.text()` leaves out."""


@pytest.mark.parametrize(
    ("data", "value", "ragged"),
    [
        pytest.param(b'{"a":"\\ud83c\\udf89"}', {"a": "🎉"}, False, id="a whole pair"),
        pytest.param(b'{"a":"\\ud83c"}', {"a": "\ud83c"}, True, id="half a pair"),
        pytest.param(b'{"a":"\xff"}', {"a": "\ufffd"}, True, id="broken UTF-8"),
        pytest.param(b'{"a":"\\u0000"}', {"a": "\0"}, False, id="NUL"),
        pytest.param(b'{"a":1180591620717411303424}', {"a": 2.0**70}, False, id="more than 64 bits"),
        pytest.param(b'{"a":[1180591620717411303424,"\\ud83c"]}', {"a": [2.0**70, "\ud83c"]}, True, id="both"),
    ],
)
def test_objects_are_parsed_as_servers_send_them(data: bytes, value: object, ragged: bool) -> None:
    assert parse_object(data) == (value, ragged)
    orjson.dumps(mend(parse_object(data)[0]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b'"text"',
        b"null",
        b"<html>",
        b'{"a":NaN}',
        b'{"a":"\\ud83c","b":NaN}',
        b'{"a":"\\ud83c","b":1e999}',
        b'{"a":"\\ud83c","b":' + b"9" * 5_000 + b"}",
        b'{"a":' + b"[" * 50_000,
        b'{"a":"\\ud83c","b":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)
def test_what_is_no_object_is_refused_without_quoting_it(data: bytes) -> None:
    with pytest.raises(BadPayload, match=r"^(not JSON|not a JSON object)$") as caught:
        parse_object(data)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_object_that_could_not_be_written_again_for_its_depth_is_refused() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' * levels + b"1" + b"}" * levels

    parse_object(nested(MAX_DEPTH))
    with pytest.raises(BadPayload, match="nested too deeply"):
        parse_object(nested(MAX_DEPTH + 1))
    brackets = {"a": "[{" * MAX_DEPTH}
    assert parse_object(orjson.dumps(brackets)) == (brackets, False), "brackets in a text are no depth"


@given(
    st.binary()
    | st.recursive(st.none() | ANY_TEXT | st.floats() | st.integers(), lambda s: st.lists(s)).map(
        lambda value: json.dumps({"value": value}).encode()
    )
)
def test_what_was_parsed_can_be_written_again(data: bytes) -> None:
    try:
        value, ragged = parse_object(data)
    except BadPayload:
        return
    orjson.dumps(mend(value) if ragged else value)


@given(ANY_TEXT)
def test_mending_replaces_halves_and_nothing_else(text: str) -> None:
    mended = mend_text(text)
    mended.encode()
    assert mended == "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


def test_mending_reaches_every_string_and_name() -> None:
    assert mend({"\ud83c": ["\udf89", {"a": "b\ud83c"}, 1, None]}) == {"\ufffd": ["\ufffd", {"a": "b\ufffd"}, 1, None]}


def joined(deltas: list[str]) -> str:
    halves = Halves()
    return "".join(halves.join("text", delta) for delta in deltas) + halves.flush("text")


@given(st.lists(ANY_TEXT, max_size=6))
def test_deltas_joined_are_the_text_joined(deltas: list[str]) -> None:
    """J3: what one decoder makes of the whole text, the halves make of its parts."""
    whole = "".join(deltas).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert mend_text(joined(deltas)) == joined(deltas)
    assert joined(deltas).replace("\ufffd", "") == whole.replace("\ufffd", "")
    assert joined(deltas).count("\ufffd") >= whole.count("\ufffd")


@given(st.text(), st.data())
def test_a_text_split_at_any_utf16_unit_comes_out_as_it_was(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(units) // 2), max_size=5)))
    places = [0, *(2 * cut for cut in cuts), len(units)]
    deltas = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(places)]
    assert joined(deltas) == text


def test_halves_of_different_texts_do_not_meet() -> None:
    halves = Halves()
    assert halves.join("one", "a\ud83c") == "a"
    assert halves.join("two", "\udf89b") == "\ufffdb"
    assert halves.join("one", "") == ""
    assert halves.join("one", "\udf89") == "🎉"
    assert halves.idle


def test_flushing_gives_what_was_held_once() -> None:
    halves = Halves()
    halves.join("one", "\ud83c")
    halves.join("two", "\ud83d")
    assert not halves.idle
    assert halves.flush("one") == "\ufffd"
    assert dict(halves.flush_all()) == {"two": "\ufffd"}
    assert halves.flush("two") == ""


@pytest.mark.parametrize("value", [None, 1, "text", [1], {"a": 1}])
def test_what_has_another_shape_is_taken_for_empty(value: Any) -> None:
    assert as_object(value) == (value if isinstance(value, dict) else {})
    assert list(as_list(value)) == (value if isinstance(value, list) else [])
