"""Tests of roomcast/transport/answers.py."""

from __future__ import annotations

import orjson
import pytest

from roomcast.core.errors import HTTP_STATUS, Refusal
from roomcast.transport.answers import answer_refusal, json_answer, problem
from roomcast.transport.rejected import Rejected


def test_an_answer_is_json_and_says_so() -> None:
    answer = json_answer(b'{"a":1}', 201)
    assert (answer.status_code, answer.headers["content-type"], bytes(answer.body)) == (
        201,
        "application/json",
        b'{"a":1}',
    )


@pytest.mark.parametrize("code", HTTP_STATUS)
def test_a_refusal_has_the_status_of_its_code(code: str) -> None:
    assert answer_refusal(Refusal(code, "no"), b"{}").status_code == HTTP_STATUS[code]


def test_a_refusal_that_passes_says_when_in_the_words_of_http_too() -> None:
    answer = answer_refusal(Refusal("draining", "no", retry_after_ms=1_000), b"{}")
    assert answer.headers["retry-after"] == "1"


def test_a_status_that_no_code_stands_for_is_kept() -> None:
    answer = problem(Rejected(414, "too_large", "too long"))
    assert (answer.status_code, orjson.loads(bytes(answer.body))["error"]["code"]) == (414, "too_large")
