"""Tests of roomcast/upstream/errors.py. How each failure really arrives is in test_connection.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.upstream.errors import LONGEST_WAIT_MS, code_of, from_body, from_vendor, retry_after_ms, words_of


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2_000),
        ({"retry-after": "1.5"}, 1_500),
        ({"retry-after-ms": "250", "retry-after": "2"}, 250),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2_000),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37"}, 0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e300"}, LONGEST_WAIT_MS),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_WAIT_MS),
        ({"retry-after": "Fri, 99 Foo 9999 23:59:59 +9999"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], wait_ms: int | None) -> None:
    assert retry_after_ms(headers) == wait_ms


def test_retry_after_may_be_a_date_to_come() -> None:
    wait_ms = retry_after_ms({"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)})
    assert wait_ms is not None
    assert 50_000 < wait_ms <= 60_000


@given(st.text())
def test_any_retry_after_is_a_time_to_wait_or_none(value: str) -> None:
    wait_ms = retry_after_ms({"retry-after": value})
    assert wait_ms is None or 0 <= wait_ms <= LONGEST_WAIT_MS


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "server_error"}, "upstream_unavailable"),
        ({"type": "InternalServerError", "code": 500}, "upstream_unavailable"),
        ({"code": 502, "message": "Provider returned error"}, "upstream_unavailable"),
        ({"type": "overloaded_error"}, "upstream_unavailable"),
        ({"status": "UNAVAILABLE", "code": 503}, "upstream_unavailable"),
        ({"code": "rate_limit_exceeded"}, "upstream_rate_limited"),
        ({"type": "RateLimitError", "code": 429}, "upstream_rate_limited"),
        ({"code": "context_length_exceeded"}, "context_too_large"),
        ({"code": "invalid_prompt"}, "upstream_rejected"),
        ({"code": 1500, "message": "internal memo, 500 pages"}, "upstream_rejected"),
        ({"message": "the server_error of your life"}, "upstream_rejected"),
        ({}, "upstream_rejected"),
        ("Internal Server Error", "upstream_rejected"),
        ("maximum context length exceeded", "context_too_large"),
        (None, "upstream_rejected"),
        ([], "upstream_rejected"),
    ],
)
def test_error_objects_are_told_apart_by_their_codes(error: Any, code: str) -> None:
    assert code_of(error) == code
    assert from_body(error).code == code
    assert from_body(error).message == words_of(code)


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(),
        lambda s: st.lists(s) | st.dictionaries(st.sampled_from(["code", "type", "status", "message"]), s),
    )
)
def test_any_error_object_has_a_code(error: Any) -> None:
    assert from_body(error).code.startswith(("upstream_", "context_"))


def test_a_lack_of_credit_is_not_worth_a_retry() -> None:
    assert from_body({"code": "rate_limit_exceeded"}).retryable
    assert not from_body({"code": "insufficient_quota"}).retryable


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (httpx2.ConnectError("refused"), "upstream_unavailable", True),
        (httpx2.PoolTimeout("full"), "upstream_unavailable", True),
        (httpx2.WriteTimeout("stuck"), "upstream_unavailable", True),
        (httpx2.ProxyError("407"), "upstream_unavailable", True),
        (httpx2.ReadError("reset"), "upstream_disconnected", True),
        (httpx2.RemoteProtocolError("Server disconnected without sending a response."), "upstream_disconnected", True),
        (httpx2.RemoteProtocolError("illegal status line"), "upstream_bad_response", False),
        (httpx2.LocalProtocolError("illegal header"), "upstream_rejected", False),
        (openai.OpenAIError("something new"), "upstream_disconnected", True),
    ],
)
def test_what_the_client_raises_has_a_code(error: Exception, code: str, retryable: bool) -> None:
    translated = from_vendor(error)
    assert (translated.code, translated.retryable) == (code, retryable)
    wrapped = openai.APIConnectionError(request=httpx2.Request("POST", "http://model.invalid"))
    wrapped.__cause__ = error
    assert from_vendor(wrapped).code == code
