"""Tests of roomcast/core/errors.py."""

from __future__ import annotations

import pytest

from roomcast.core.errors import (
    HTTP_STATUS,
    RETRYABLE,
    CloseCode,
    Disconnect,
    Refusal,
    ServerError,
    StorageDamaged,
    StorageError,
    StorageFull,
    StorageUnavailable,
    UpstreamError,
)

DOCUMENTED = {
    400: "invalid_json missing_field unknown_field invalid_type invalid_value unknown_command",
    401: "unauthenticated",
    403: "forbidden",
    404: "room_not_found item_not_found response_not_found",
    409: "not_joined no_running_response room_busy already_decided digest_mismatch command_id_reused",
    413: "too_large",
    429: "rate_limited queue_full budget_exceeded",
    500: "internal",
    501: "not_supported",
    503: "unavailable draining",
    507: "storage_full",
}


def test_the_codes_and_their_status_are_those_of_the_protocol() -> None:
    assert {code: status for status, codes in DOCUMENTED.items() for code in codes.split()} == HTTP_STATUS


def test_only_codes_that_exist_are_retryable() -> None:
    assert RETRYABLE.issubset(HTTP_STATUS)


def test_the_close_codes_are_those_of_the_protocol() -> None:
    documented = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 4400, 4401, 4403, 4408, 4429]
    assert sorted(CloseCode) == documented


def test_a_refusal_says_only_what_it_knows() -> None:
    refusal = Refusal("forbidden", "no")
    assert refusal.status == 403
    assert refusal.as_json() == {"code": "forbidden", "message": "no", "retryable": False}


def test_a_refusal_names_the_field_and_the_time() -> None:
    refusal = Refusal("rate_limited", "slow down", param="after.seq", retry_after_ms=500)
    assert refusal.as_json() == {
        "code": "rate_limited",
        "message": "slow down",
        "retryable": True,
        "param": "after.seq",
        "retry_after_ms": 500,
    }


def test_a_code_that_is_not_documented_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="no such code: oops"):
        Refusal("oops", "what")


def test_a_disconnect_carries_the_close_frame() -> None:
    disconnect = Disconnect(CloseCode.TOO_SLOW, "you stopped reading")
    assert (disconnect.close_code, disconnect.reason, str(disconnect)) == (
        4408,
        "you stopped reading",
        disconnect.reason,
    )


def test_an_upstream_error_is_in_our_words() -> None:
    error = UpstreamError("upstream_rate_limited", "busy", retryable=True, retry_after_ms=1_000, status=429)
    assert (error.code, error.message, str(error)) == ("upstream_rate_limited", "busy", "busy")
    assert (error.retryable, error.retry_after_ms, error.status) == (True, 1_000, 429)


@pytest.mark.parametrize("kind", [StorageFull, StorageUnavailable, StorageDamaged])
def test_every_way_a_store_fails_is_one_family(kind: type[StorageError]) -> None:
    assert issubclass(kind, StorageError)
    assert issubclass(kind, ServerError)
