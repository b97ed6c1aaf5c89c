"""Tests of roomcast/transport/rejected.py."""

from __future__ import annotations

import orjson

from roomcast.transport.rejected import Rejected


def test_the_body_is_the_error_json_of_the_protocol() -> None:
    rejected = Rejected(429, "rate_limited", "slow down", param="x", retry_after_ms=1_500)
    assert orjson.loads(rejected.body) == {
        "error": {
            "code": "rate_limited",
            "message": "slow down",
            "retryable": True,
            "param": "x",
            "retry_after_ms": 1_500,
        }
    }


def test_a_wait_is_told_in_whole_seconds_and_never_too_short() -> None:
    assert Rejected(503, "unavailable", "full", retry_after_ms=1_001).headers["Retry-After"] == "2"


def test_who_is_not_known_is_told_how_to_make_itself_known() -> None:
    assert Rejected(401, "unauthenticated", "no").headers == {"WWW-Authenticate": "Bearer"}
