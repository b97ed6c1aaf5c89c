"""Tests of roomcast/core/intents.py."""

from __future__ import annotations

from roomcast.core.intents import CutShort, Ended, Opened, Recovered
from roomcast.core.session import SYSTEM


def test_a_room_that_nobody_asked_for_is_opened_by_the_system() -> None:
    assert Opened().member is SYSTEM


def test_an_end_without_measurements_claims_none() -> None:
    ended = Ended("resp_1", CutShort("upstream_eof"))
    assert (ended.usage, ended.first_output_ms, ended.total_ms) == ({}, None, 0)


def test_recovery_is_of_everything_that_runs_and_goes_on_with_the_queue() -> None:
    assert Recovered("restart") == Recovered("restart", None, start_next=True)
