"""Tests of roomcast/upstream/demo/wire.py."""

from __future__ import annotations

import json

import pytest

from roomcast.upstream.demo.wire import encode_json, error_body, padding, sse


def test_text_travels_as_utf_8() -> None:
    assert encode_json({"a": "é🎉"}) == '{"a":"é🎉"}'.encode()


def test_half_a_surrogate_pair_travels_as_an_escape() -> None:
    assert encode_json({"a": "\ud83c"}) == rb'{"a":"\ud83c"}'


def test_an_event_has_a_name_only_if_it_was_given_one() -> None:
    assert sse({"a": 1}) == b'data: {"a":1}\n\n'
    assert sse({"a": 1}, event="some.type") == b'event: some.type\ndata: {"a":1}\n\n'


def test_an_error_is_in_the_envelope_of_openai() -> None:
    assert json.loads(error_body("no", param="model", code="c")) == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "model", "code": "c"}
    }


@pytest.mark.parametrize("length", range(34))
def test_padding_hides_the_length_of_a_delta(length: int) -> None:
    padded = length + len(padding("x" * length))
    assert padded % 16 == 0
    assert padded > length
