"""Tests of roomcast/upstream/demo/tokens.py."""

from __future__ import annotations

from itertools import accumulate

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.upstream.demo.answers import ANSWERS, Answer
from roomcast.upstream.demo.tokens import estimate, graphemes, split

ONE_CHARACTER = ["👨‍👩‍👧‍👦", "👋🏽", "🏳️‍🌈", "🇪🇺", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "❤️", "e\u0301", "\r\n", "नि"]


@given(st.text(), st.text(max_size=3))
def test_pieces_add_up_to_the_text(text: str, seed: str) -> None:
    pieces = split(text, seed=seed)
    assert "".join(pieces) == text
    assert all(pieces)


@given(st.text())
def test_graphemes_add_up_to_the_text(text: str) -> None:
    assert "".join(graphemes(text)) == text


@pytest.mark.parametrize("character", ONE_CHARACTER)
def test_what_a_reader_takes_for_one_character_stays_whole(character: str) -> None:
    assert list(graphemes(f"a{character}b")) == ["a", character, "b"]


def test_flags_side_by_side_stay_two_flags() -> None:
    assert list(graphemes("🇪🇺🇯🇵")) == ["🇪🇺", "🇯🇵"]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_no_piece_of_an_answer_ends_inside_of_a_character(answer: Answer) -> None:
    ends = set(accumulate(map(len, split(answer.text, seed="any"))))
    assert ends <= set(accumulate(map(len, graphemes(answer.text))))


def test_words_come_in_pieces_of_two_to_six_letters() -> None:
    for length in range(2, 60):
        pieces = split("x" * length, seed="any")
        assert all(2 <= len(piece) <= 6 for piece in pieces), pieces


def test_a_short_word_takes_the_space_before_it_along() -> None:
    assert split("One stream, a room", seed="any") == ("One", " stream", ",", " a", " room")


def test_an_indent_is_a_piece_of_its_own_but_for_its_last_space() -> None:
    assert split("a:\n    b", seed="any") == ("a", ":", "\n", "   ", " b")


def test_a_space_at_the_end_is_not_lost() -> None:
    assert split("a ", seed="any") == ("a", " ")


def test_the_seed_decides_where_long_words_are_cut() -> None:
    text = "incomprehensibilities " * 5
    assert split(text, seed="1") == split(text, seed="1")
    assert split(text, seed="1") != split(text, seed="2")


def test_an_estimate_is_a_quarter_of_the_bytes_rounded_up() -> None:
    assert [estimate(text) for text in ("", "a", "abcd", "abcde", "🎉")] == [0, 1, 1, 2, 1]
