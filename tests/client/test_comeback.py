"""Tests of roomcast/client/comeback.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.client.comeback import Backoff, Fate, Loss, fate


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1006, 1011, 1012, 4408])
def test_what_may_pass_is_tried_again_soon(code: int) -> None:
    assert fate(Loss("gone", close_code=code)) is Fate.SOON


@pytest.mark.parametrize("code", [4400, 4403, 1003, 1007, 1009])
def test_what_would_end_the_same_way_is_not_tried_again(code: int) -> None:
    assert fate(Loss("no", close_code=code)) is Fate.NEVER


@pytest.mark.parametrize("code", [4429, 1008, 1013])
def test_who_was_too_much_returns_later(code: int) -> None:
    assert fate(Loss("slow down", close_code=code)) is Fate.LATER


def test_an_expired_token_asks_for_another() -> None:
    assert fate(Loss("expired", close_code=4401)) is Fate.NEW_TOKEN
    assert fate(Loss("unknown", status=401)) is Fate.NEW_TOKEN


@pytest.mark.parametrize(
    ("status", "follows"),
    [
        (403, Fate.NEVER),
        (404, Fate.NEVER),
        (501, Fate.NEVER),
        (429, Fate.LATER),
        (503, Fate.LATER),
        (408, Fate.SOON),
        (500, Fate.SOON),
        (502, Fate.SOON),
        (507, Fate.SOON),
    ],
)
def test_a_refused_handshake_is_judged_by_its_status(status: int, follows: Fate) -> None:
    assert fate(Loss("no", status=status)) is follows


def test_a_connection_that_just_breaks_is_tried_again_soon() -> None:
    assert fate(Loss("broke")) is Fate.SOON


@given(attempt=st.integers(0, 10_000), roll=st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_between_nothing_and_the_cap(attempt: int, roll: float) -> None:
    assert 0 <= Backoff().delay_s(attempt, roll, Loss("broke")) <= 15.0


def test_the_bound_doubles_from_a_quarter_of_a_second_to_fifteen() -> None:
    bounds = [Backoff().delay_s(attempt, 1.0, Loss("broke")) for attempt in range(8)]
    assert bounds == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_what_the_server_asked_for_is_waited_in_full_before_the_jitter() -> None:
    assert Backoff().delay_s(0, 0.0, Loss("drain", close_code=1012, retry_after_s=3.0)) == 3.0
    assert Backoff().delay_s(0, 1.0, Loss("drain", close_code=1012, retry_after_s=3.0)) == 3.25


def test_later_is_never_at_once() -> None:
    assert Backoff().delay_s(0, 0.0, Loss("rate", close_code=4429)) == 1.0
