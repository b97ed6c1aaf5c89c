"""Tests of roomcast/core/usage.py."""

from __future__ import annotations

from roomcast.core.events import JsonObject
from roomcast.core.ports import UpstreamRequest
from roomcast.core.usage import RoughTokens, estimated, rough_count, unused


class Words:
    """Counts words."""

    def count(self, text: str) -> int:
        return len(text.split())


def test_an_estimate_counts_what_went_in_what_the_format_adds_and_what_came_out() -> None:
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one two three"}]}
    request = UpstreamRequest("resp_1", "m", [said, said], instructions="be brief")
    assert estimated(Words(), request, "four words of answer") == {
        "input_tokens": 8 + 9,
        "output_tokens": 4,
        "total_tokens": 21,
        "source": "estimated",
    }


def test_what_is_no_text_counts_nothing() -> None:
    odd: list[JsonObject] = [
        {"type": "item_reference"},
        {"type": "message", "content": [{"type": "input_image"}, "bare"]},
    ]
    assert estimated(Words(), UpstreamRequest("resp_1", "m", odd), "")["input_tokens"] == 9


def test_what_never_ran_used_nothing() -> None:
    assert unused() == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "source": "estimated"}


def test_without_a_table_four_characters_are_a_token() -> None:
    assert [rough_count(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]
    assert RoughTokens().count("abcde") == 2
