"""Tests of roomcast/core/response_state.py."""

from __future__ import annotations

import pytest

from roomcast.core.response_state import ENDINGS, Input, Status, step

TABLE = {
    Status.QUEUED: {Input.START: Status.IN_PROGRESS, Input.CANCEL: Status.CANCELLED},
    Status.IN_PROGRESS: {
        Input.OUTPUT: Status.IN_PROGRESS,
        Input.CANCEL: Status.CANCELLING,
        Input.COMPLETE: Status.COMPLETED,
        Input.CUT_SHORT: Status.INCOMPLETE,
        Input.FAIL: Status.FAILED,
        Input.ABANDON: Status.INTERRUPTED,
    },
    Status.CANCELLING: {
        Input.CANCEL: Status.CANCELLING,
        Input.COMPLETE: Status.CANCELLED,
        Input.CUT_SHORT: Status.CANCELLED,
        Input.FAIL: Status.CANCELLED,
        Input.HUNG_UP: Status.CANCELLED,
        Input.ABANDON: Status.CANCELLED,
    },
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("happened", Input)
def test_every_pair_is_as_the_protocol_says(status: Status, happened: Input) -> None:
    assert step(status, happened) is TABLE.get(status, {}).get(happened)


def test_what_has_ended_stays_ended() -> None:
    assert {"completed", "incomplete", "failed", "cancelled", "interrupted"} == ENDINGS
    assert [(status, happened) for status in ENDINGS for happened in Input if step(status, happened)] == []


def test_output_is_taken_only_while_nobody_has_cancelled() -> None:
    assert [status for status in Status if step(status, Input.OUTPUT)] == [Status.IN_PROGRESS]


def test_a_promised_cancel_has_one_ending() -> None:
    outcomes = {step(Status.CANCELLING, happened) for happened in Input}
    assert outcomes == {None, Status.CANCELLING, Status.CANCELLED}
