"""Tests of roomcast/core/events.py."""

from __future__ import annotations

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from roomcast.core.events import (
    OPEN_STATUSES,
    TERMINAL_TYPES,
    Cursor,
    JsonObject,
    Record,
    as_array,
    as_object,
    decode_event,
    encode,
    encode_events,
    envelope,
    is_delta,
    number,
)
from roomcast.core.response_state import ENDINGS, Status

DRAFTS: list[JsonObject] = [{"type": "a", "x": 1}, {"type": "b"}, {"type": "c"}]


def test_numbers_are_dense_and_go_on_behind_the_newest() -> None:
    assert [event["seq"] for event in number("lobby", 41, 7, DRAFTS)] == [42, 43, 44]


def test_an_envelope_comes_first_and_keeps_the_draft_whole() -> None:
    event = envelope("lobby", 42, 7, {"type": "a", "x": 1})
    assert list(event.items()) == [("room", "lobby"), ("seq", 42), ("at", 7), ("type", "a"), ("x", 1)]


def test_numbering_leaves_the_draft_alone() -> None:
    draft: JsonObject = {"type": "a"}
    number("lobby", 0, 7, [draft])
    assert draft == {"type": "a"}


def test_a_record_is_the_event_encoded_once() -> None:
    [event] = number("lobby", 0, 7, [{"type": "a", "text": "ü"}])
    assert encode_events([event]) == [Record(1, "a", '{"room":"lobby","seq":1,"at":7,"type":"a","text":"ü"}'.encode())]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(fields=st.dictionaries(st.text(min_size=1), JSON, max_size=4))
def test_whatever_is_encoded_comes_back(fields: JsonObject) -> None:
    event = {**fields, "type": "a", "seq": 1}
    assert decode_event(encode_events([event])[0]) == event


def test_what_is_encoded_already_is_embedded_as_it_is() -> None:
    assert encode({"item": orjson.Fragment(b'{"a": 1}')}) == b'{"item":{"a": 1}}'


@pytest.mark.parametrize(
    ("event_type", "merges"), [("response.output_text.delta", True), ("response.delta.done", False)]
)
def test_only_deltas_may_merge(event_type: str, *, merges: bool) -> None:
    assert is_delta(event_type) is merges


def test_terminals_and_open_statuses_are_those_of_the_table() -> None:
    assert {f"response.{status}" for status in ENDINGS} == TERMINAL_TYPES
    assert set(Status) - ENDINGS == OPEN_STATUSES


def test_an_object_is_found_as_itself_and_nothing_else_is() -> None:
    found: JsonObject = {"a": 1}
    assert as_object(found) is found
    others: list[object] = [None, [], "a", 1, True]
    assert [as_object(other) for other in others] == [None] * 5


def test_an_array_is_found_as_itself_and_nothing_else_is() -> None:
    found = [1]
    assert as_array(found) is found
    others: list[object] = [None, {}, "a", (1,)]
    assert [as_array(other) for other in others] == [None] * 4


def test_a_cursor_sorts_by_seq_within_its_epoch() -> None:
    assert Cursor("e", 2) > Cursor("e", 1)
