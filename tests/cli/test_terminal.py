"""Tests of roomcast/cli/terminal.py: nothing that a terminal obeys gets from a room to the screen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.cli.terminal import Writer, clean, clean_line

HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b\x07\x9b\x90\x9c\r\n\t\x08\x7f[]0;?hmJK\\\u202e\u2066\u2028"))
)


def obeyed(text: str) -> set[str]:
    """Characters that a terminal acts on instead of showing them, lines and tabs aside."""
    return {c for c in text if unicodedata.category(c) == "Cc" and c not in "\n\t"} | set(text) & set("\u202e\u2066")


@given(HOSTILE)
def test_x6_no_control_character_survives(text: str) -> None:
    assert obeyed(clean(text)) == set()
    assert obeyed(clean_line(text)) == set()
    assert "\n" not in clean_line(text)


@given(HOSTILE, HOSTILE)
def test_x6_a_sequence_that_is_split_between_two_pieces_is_harmless_too(first: str, second: str) -> None:
    assert obeyed(clean(first) + clean(second)) == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, tab\tand\nline", "plain, tab\tand\nline"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("a\u2028b", "a\nb"),
        ("abc\u202edcba", "abcdcba"),
        ("héllo 😀 שלום", "héllo 😀 שלום"),
    ],
)
def test_what_is_left_is_what_was_meant(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_name_is_one_short_line() -> None:
    assert clean_line("A\nda\tB") == "A da B"
    assert clean_line("x" * 200, most=10) == "xxxxxxxxx…"


class Screen:
    def __init__(self, *, prompt: str = "") -> None:
        self.shown = ""
        self.writer = Writer(self.write, prompt=prompt)

    def write(self, text: str) -> None:
        self.shown += text


def test_an_answer_is_written_as_it_grows_under_one_name() -> None:
    screen = Screen()
    for piece in ("Hel", "lo", "\nthere"):
        screen.writer.piece("r1", "assistant", piece)
    screen.writer.pause()
    assert screen.shown == "assistant: Hello\nthere\n"


def test_who_speaks_between_begins_a_line_and_the_first_is_named_again() -> None:
    screen = Screen()
    screen.writer.piece("r1", "assistant", "Hel")
    screen.writer.message("Ada", "hm")
    screen.writer.piece("r1", "assistant", "lo")
    screen.writer.piece("r2", "other", "Hi")
    screen.writer.pause()
    assert screen.shown == "assistant: Hel\nAda: hm\nassistant: lo\nother: Hi\n"


def test_nothing_is_written_for_an_empty_piece() -> None:
    screen = Screen()
    screen.writer.piece("r1", "assistant", "")
    assert screen.shown == ""


def test_names_and_texts_of_strangers_are_cleaned() -> None:
    screen = Screen()
    screen.writer.message("A\x1b[2Jda", "\x1b[31mhi")
    screen.writer.piece("r1", "m\no", "a\x07b")
    assert screen.shown == "Ada: hi\nm o: ab"


def test_the_prompt_stands_below_and_makes_room_for_what_comes() -> None:
    screen = Screen(prompt="> ")
    screen.writer.rest()
    screen.writer.rest()
    assert screen.shown == "> "
    screen.writer.message("Ada", "hi")
    assert screen.shown == "> \r\x1b[KAda: hi\n> "


def test_the_prompt_waits_while_somebody_speaks() -> None:
    screen = Screen(prompt="> ")
    screen.writer.piece("r1", "assistant", "Hel")
    screen.writer.rest()
    assert (screen.shown, screen.writer.speaking) == ("assistant: Hel", True)
    screen.writer.pause()
    screen.writer.rest()
    assert screen.shown == "assistant: Hel\n> "


def test_a_typed_line_is_not_erased() -> None:
    screen = Screen(prompt="> ")
    screen.writer.rest()
    screen.writer.entered()
    screen.writer.message("Ada", "hi")
    assert screen.shown == "> Ada: hi\n> "
