"""Tests of roomcast/core/ids.py."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.core.ids import COMMAND_ID, ENTROPY_BYTES, MEMBER_ID, ROOM_NAME, make_id, ulid

MILLISECONDS = st.integers(0, 2**48 - 1)
ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


@given(now_ms=MILLISECONDS, entropy=ENTROPY)
def test_an_id_is_its_prefix_and_26_characters(now_ms: int, entropy: bytes) -> None:
    assert re.fullmatch(r"resp_[0-9a-hjkmnp-tv-z]{26}", make_id("resp", now_ms, entropy))


@given(one=st.tuples(MILLISECONDS, ENTROPY), other=st.tuples(MILLISECONDS, ENTROPY))
def test_ids_sort_by_time_and_then_by_entropy(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    assert (ulid(*one) < ulid(*other)) == (one < other)


def test_the_encoding_is_that_of_the_ulid_specification() -> None:
    assert ulid(1_469_918_176_385, bytes(10)).startswith("01aryz6s41")
    assert ulid(2**48 - 1, b"\xff" * 10) == "7" + 25 * "z"


def test_a_wrong_amount_of_entropy_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="ten bytes"):
        ulid(0, b"short")


@pytest.mark.parametrize("name", ["lobby", "a", "A.b_c~d-9", "x" * 128])
def test_room_names_that_are_taken(name: str) -> None:
    assert ROOM_NAME.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["", ".hidden", "a/../b", "a\n", "a\0", "a‮b", "x" * 129, "it's", "a*", "a>", "{a}", "ü", "a b", "%61"]
)
def test_i5_room_names_that_could_mean_something_else_elsewhere(name: str) -> None:
    assert not ROOM_NAME.fullmatch(name)


@pytest.mark.parametrize("command_id", ["c", "cmd_01JX4", "a:b.c-d", "x" * 64])
def test_command_ids_that_are_taken(command_id: str) -> None:
    assert COMMAND_ID.fullmatch(command_id)


@pytest.mark.parametrize("command_id", ["", "x" * 65, "a b", "a/b", "a\n", "ü"])
def test_command_ids_that_are_not(command_id: str) -> None:
    assert not COMMAND_ID.fullmatch(command_id)


def test_a_member_id_may_be_an_address_but_no_path() -> None:
    assert MEMBER_ID.fullmatch("ann@example.org")
    assert not MEMBER_ID.fullmatch("../ann")
