"""Tests of roomcast/core/ports.py."""

from __future__ import annotations

from roomcast.core import log, ports
from roomcast.core.ports import Finish, UpstreamRequest


def test_the_values_of_the_log_can_be_had_with_its_port() -> None:
    assert [name for name in log.__all__ if getattr(ports, name) is not getattr(log, name)] == []
    assert set(log.__all__) < set(ports.__all__)


def test_a_finish_that_says_nothing_more_claims_nothing() -> None:
    finish = Finish("completed")
    assert (finish.reason, finish.error_code, finish.error_message, finish.usage, finish.response) == (
        None,
        None,
        None,
        None,
        {},
    )


def test_two_requests_share_no_parameters() -> None:
    one, other = (UpstreamRequest(response_id, "model", []) for response_id in "ab")
    one.parameters["temperature"] = 1
    assert other.parameters == {}
