"""Tests of roomcast/client/errors.py."""

from __future__ import annotations

import pytest

from roomcast.client.errors import ClientError, NotAllowed, Refused, RoomClosed, Unreachable


def test_a_refusal_carries_what_the_server_said() -> None:
    error = {
        "code": "queue_full",
        "message": "the queue is full",
        "param": "on_busy",
        "retryable": True,
        "retry_after_ms": 250,
        "by": "ada",
    }
    refused = Refused.from_json(error)
    assert (refused.code, refused.message, refused.param) == ("queue_full", "the queue is full", "on_busy")
    assert (refused.retryable, refused.retry_after_ms, refused.error["by"]) == (True, 250, "ada")
    assert str(refused) == "the queue is full (queue_full)"


@pytest.mark.parametrize("error", [None, [], {}, {"param": 7, "retry_after_ms": "soon", "retryable": "yes"}])
def test_a_refusal_that_makes_no_sense_is_still_one(error: object) -> None:
    refused = Refused.from_json(error)
    assert (refused.code, refused.param, refused.retryable, refused.retry_after_ms) == ("internal", None, False, None)


def test_everything_can_be_caught_by_one_name() -> None:
    for kind in (Refused, RoomClosed, NotAllowed, Unreachable):
        assert issubclass(kind, ClientError)


def test_an_address_without_a_server_is_a_connection_error() -> None:
    assert issubclass(Unreachable, ConnectionError)
