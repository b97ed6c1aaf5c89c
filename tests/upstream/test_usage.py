"""Tests of roomcast/upstream/usage.py. Both shapes as they arrive are in the tests of the two APIs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.upstream.usage import chat_usage, responses_usage


@pytest.mark.parametrize("count", ["5", -1, 1.5, True, None, 1 << 60])
def test_a_count_that_is_no_count_makes_no_usage(count: Any) -> None:
    assert responses_usage({"input_tokens": 5, "output_tokens": count}) is None
    assert chat_usage({"prompt_tokens": count, "completion_tokens": 5}) is None


def test_details_are_kept_and_the_total_is_the_sum() -> None:
    given_usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": "?", "input_tokens_details": {"cached": 1}}
    assert responses_usage(given_usage) == {**given_usage, "total_tokens": 12}
    details: Any = {"prompt_tokens_details": None, "completion_tokens_details": {"reasoning_tokens": "x"}}
    assert chat_usage({"prompt_tokens": 5, "completion_tokens": 7, **details}) == {
        "input_tokens": 5,
        "output_tokens": 7,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }


def test_details_without_end_are_left_out() -> None:
    counted = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    assert responses_usage({**counted, "input_tokens_details": {"x": "y" * 4_096}}) == counted


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(["input_tokens", "prompt_tokens", "completion_tokens", "prompt_tokens_details"]), s
            )
        ),
    )
)
def test_anything_is_a_usage_or_none(usage: Any) -> None:
    assert isinstance(responses_usage(usage), (dict, type(None)))
    assert isinstance(chat_usage(usage), (dict, type(None)))
