"""Tests of roomcast/transport/query.py."""

from __future__ import annotations

import pytest

from roomcast.core.errors import Refusal
from roomcast.transport.query import integer, read_query


def test_fields_are_decoded_and_empty_ones_kept() -> None:
    assert read_query("name=J%C3%BCrgen+A&include=") == {"name": "Jürgen A", "include": ""}


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("limit=1&limit=2", "invalid_value", "limit"),
        ("limti=1", "unknown_field", "limti"),
        ("limit=%ff", "invalid_value", "query"),
        ("&".join(f"f{n}=1" for n in range(33)), "invalid_value", "query"),
    ],
)
def test_what_is_unclear_is_refused_by_name(query: str, code: str, param: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_query(query, known=frozenset({"limit"}))
    assert (caught.value.code, caught.value.param) == (code, param)


def test_who_asks_may_stand_in_any_query() -> None:
    assert read_query("member=ann&name=Ann&limit=5", known=frozenset({"limit"}))["limit"] == "5"


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("-1", -1), ("", ""), ("5.0", "5.0"), ("1e3", "1e3"), ("٣", "٣")]
)
def test_only_a_written_integer_becomes_one(text: str, value: int | str) -> None:
    assert integer(text) == value


def test_a_number_of_absurd_length_stays_text() -> None:
    assert integer("9" * 5_000) == "9" * 5_000
