"""Tests of roomcast/upstream/demo/script.py."""

from __future__ import annotations

import unicodedata

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.upstream.demo.answers import GENERAL
from roomcast.upstream.demo.script import choose, quote, reply


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("hi", "hello"),
        ("Hello there!", "hello"),
        ("What is roomcast?", "what"),
        ("How does resume work?", "resume"),
        ("what happens if I press STOP", "stop"),
        ("give me a list", "list"),
        ("show me a table please", "table"),
        ("write some Python", "python"),
        ("some JavaScript?", "javascript"),
        ("emoji!", "emoji"),
        ("something from right to left", "right-to-left"),
        ("שלום", "right-to-left"),
        ("tell me a story", "story"),
        ("a long one", "story"),
        ("Tell me a long story about Python", "story"),
        ("thanks", "short"),
        ("are you a real model?", "key"),
        ("what if the server is killed in a crash", "crash"),
        ("what about a slow phone", "slow"),
    ],
)
def test_the_words_of_a_prompt_choose_the_answer(prompt: str, name: str) -> None:
    answer = choose(prompt)
    assert answer is not None
    assert answer.name == name
    assert answer.text in reply(prompt, seed=0)


def test_a_word_inside_of_another_chooses_nothing() -> None:
    assert choose("tablets and machines") is None  # though "table" and "hi" are in there


def test_it_says_at_once_that_it_is_simulated_and_what_was_asked() -> None:
    first, second, *_ = reply("How does resume work?", seed=0).split("\n\n")
    assert "Simulated" in first
    assert second == "> How does resume work?"


def test_a_prompt_without_text_gets_an_answer_as_well() -> None:
    assert "held no text" in reply(" \n ", seed=0)


def test_it_admits_that_it_did_not_understand() -> None:
    answer = reply("qwertz", seed=0)
    assert "have no answer to that" in answer
    assert any(general.text in answer for general in GENERAL)


def test_the_seed_decides_what_an_unknown_prompt_gets() -> None:
    assert reply("qwertz", seed=1) == reply("qwertz", seed=1)
    assert len({reply("qwertz", seed=seed) for seed in range(20)}) > 1


def test_it_counts_without_a_hole() -> None:
    numbers = reply("please count to 200", seed=0).split("\n\n")[-1].split()
    assert numbers == [str(number) for number in range(1, 201)]


def test_it_does_not_count_for_ever() -> None:
    assert reply("count to 999999999", seed=0).endswith(" 2000")


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("two\n\nlines\tand  spaces", "two lines and spaces"),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("![x](http://a/b)", r"!\[x\](http://a/b)"),
        ("`code` and *stars*", r"\`code\` and \*stars\*"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. first", r"1\. first"),
        ("\x00nul\x1b[31m", r"nul \[31m"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\ud83c", "\ufffd"),
        ("👨‍👩‍👧‍👦 نمی‌دانم", "👨‍👩‍👧‍👦 نمی‌دانم"),
    ],
)
def test_a_quoted_prompt_is_one_harmless_line(prompt: str, shown: str) -> None:
    assert quote(prompt) == shown


def test_a_long_prompt_is_quoted_in_part_and_between_characters() -> None:
    shown = quote("👨‍👩‍👧‍👦" * 200)
    assert shown == "👨‍👩‍👧‍👦" * 160 + "…"


@given(st.text(st.characters(codec=None)))
def test_any_prompt_has_an_answer_that_can_be_encoded(prompt: str) -> None:
    assert reply(prompt, seed=0).encode()
    assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") for char in quote(prompt))
