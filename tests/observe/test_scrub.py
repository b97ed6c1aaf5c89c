"""Tests of roomcast/observe/scrub.py."""

import enum
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from roomcast.core.errors import UpstreamError
from roomcast.core.settings import Secret
from roomcast.observe.scrub import HIDDEN, Scrubber

CANARY = "canary7canary7canary7"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"

SCRUBBER = Scrubber([CANARY])


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Authorization", "api_key", "api-key", "token", "messages", "content", "delta", "input"),
        *("prompt", "text", "output", "arguments", "access_token", "system_prompt", "client_secret"),
    ],
)
def test_a_field_that_carries_content_or_a_secret_by_name_is_replaced_whatever_is_in_it(name: str) -> None:
    """S1"""
    assert SCRUBBER.field(name, "hello") == HIDDEN
    assert SCRUBBER.value({"deep": [{name: {"x": "hello"}}]}) == {"deep": [{name: HIDDEN}]}


@pytest.mark.parametrize("name", ["room", "tokens", "output_tokens", "text_bytes", "first_token_ms", "context", "code"])
def test_a_field_that_only_sounds_like_it_stays(name: str) -> None:
    assert SCRUBBER.field(name, 5) == 5


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abcdefghijklmnop",
        "Incorrect API key provided: sk-abcd********wxyz.",
        "Authorization: Bearer abcdefgh",
        "(b'authorization', b'Bearer abcdefgh')",
        "authorization=abcdefgh",
        "Authorization: Basic YWJjZGVmZ2g=",
        "{'x-api-key': 'abcdefgh'}",
        "MY_API_KEY=abcdefgh",
        "[('api-key', 'abcdefgh')]",
        "GET /v1/ws?room=a&ticket=abcdefgh&name=b",
        f"who is {JWT}",
        "https://me:abcdefgh@example.com/v1",
        "redis://:abcdefgh@host",
        "gsk_abcdefghijklmn",
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(text: str) -> None:
    """S2"""
    shown = SCRUBBER.text(text)
    assert HIDDEN in shown
    assert not any(part in shown for part in ("abcd", "wxyz", "YWJj", "c2lnbm", "eyJz"))


@pytest.mark.parametrize("text", ["room lobby has 5 tokens", "task-generation-1", "/var/lib/roomcast.db", "ask: why"])
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert SCRUBBER.text(text) == text


@given(st.text(max_size=2_000), st.text(max_size=2_000))
def test_a_known_secret_never_shows_not_even_in_part(before: str, after: str) -> None:
    """S2, also where the text is cut in the middle of the secret."""
    shown = SCRUBBER.text(f"{before}{CANARY}{after}")
    assert CANARY[:8] not in shown


@pytest.mark.parametrize("offset", range(-25, 5))
def test_a_known_secret_does_not_show_at_the_place_where_texts_are_cut(offset: int) -> None:
    shown = SCRUBBER.text("." * (1024 + offset) + CANARY + "." * 5_000)
    assert "canary" not in shown


def test_what_masking_pulls_into_view_holds_no_half_secret() -> None:
    long = "long" * 100
    scrubber = Scrubber([long])
    for shift in range(0, 400, 7):
        shown = scrubber.text("." * shift + (long + ".") * 9)
        assert "long" not in shown


def test_a_short_secret_is_not_replaced_because_it_would_spoil_words() -> None:
    assert Scrubber(["x"]).text("exit") == "exit"


class Quoting:
    def __repr__(self) -> str:
        return CANARY


class Colour(enum.IntEnum):
    RED = 4408


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Quoting(), "<Quoting>"),
        (Secret(CANARY), "<Secret>"),
        (CANARY.encode(), "<21 bytes>"),
        (Colour.RED, 4408),
        (Path("/var/x"), "/var/x"),
        (2**70, "<71 bits>"),
        (True, True),
        (1.5, 1.5),
        (None, None),
        ((1, "a"), [1, "a"]),
        ({1: "a"}, {"1": "a"}),
        ([[[[[["deep"]]]]]], [[[["<list>"]]]]),
    ],
)
def test_only_plain_values_show(value: object, shown: object) -> None:
    """S3"""
    assert SCRUBBER.value(value) == shown


def test_a_text_is_one_line_without_escape_sequences() -> None:
    """S4; catalogue X6."""
    assert SCRUBBER.text("a\nlevel=error\x1b[31m\u202e\ud83c") == "a\\nlevel=error\\x1b[31m\\u202e\\ud83c"


def test_a_megabyte_becomes_a_kilobyte() -> None:
    """S4; catalogue X6."""
    shown = SCRUBBER.text("x" * 1_000_000)
    assert shown == "x" * 1024 + "… (1000000 characters)"
    value = SCRUBBER.value(["x" * 100] * 1_000)
    assert value == ["x" * 100] * 32


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Quoting),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), JSON)
def test_any_value_can_be_written_as_json(name: str, value: object) -> None:
    orjson.dumps({SCRUBBER.text(name): SCRUBBER.field(name, value)})


def caught(make: Any) -> BaseException:
    try:
        make()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


E = TypeVar("E", bound=Exception)


def fail_with(error: E, cause: BaseException | None = None) -> E:
    def inner() -> None:
        local = CANARY  # must not be shown
        assert local
        raise error from cause

    assert caught(inner) is error
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(CANARY),
        KeyError("prompt"),
        UnicodeDecodeError("utf-8", b"prompt", 0, 1, "prompt"),
        Exception("prompt"),
    ],
)
def test_the_words_of_an_exception_that_quotes_its_input_are_withheld(error: Exception) -> None:
    """S5"""
    shown = SCRUBBER.exception(fail_with(error))
    assert shown.startswith(type(error).__name__)
    assert "prompt" not in shown
    assert "canary" not in shown
    assert f"{Path(__file__).name}:" in shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file", "/var/x"), "FileNotFoundError: [Errno 2] No such file: '/var/x'"),
        (
            UpstreamError("upstream_timeout", "silence"),
            "roomcast.core.errors.UpstreamError: silence",
        ),
        (TypeError(f"bad\n{CANARY}"), "TypeError: bad\\n***"),
        (RuntimeError("loop is closed"), "RuntimeError: loop is closed"),
    ],
)
def test_the_words_of_the_system_the_interpreter_and_our_own_are_shown(error: Exception, words: str) -> None:
    """S5"""
    assert SCRUBBER.exception(fail_with(error)).split("\n")[0] == words
    assert SCRUBBER.value(error) == words


def test_causes_and_groups_are_followed() -> None:
    error = fail_with(RuntimeError("outer"), fail_with(ExceptionGroup("prompt", [fail_with(TypeError("inner"))])))
    heads = [line for line in SCRUBBER.exception(error).split("\n") if ".py:" not in line]
    assert heads == ["RuntimeError: outer", "caused by ExceptionGroup", "  1: TypeError: inner"]


def test_what_was_being_handled_is_told() -> None:
    def inner() -> None:
        try:
            raise ValueError("prompt")
        except ValueError:
            raise TypeError("second")  # noqa: B904  # the missing `from` is the case

    assert "while handling ValueError" in SCRUBBER.exception(caught(inner))


def test_a_deep_stack_and_a_wide_tree_of_exceptions_are_cut() -> None:
    def deep(left: int) -> None:
        if left == 0:
            raise TypeError("deep")
        deep(left - 1)

    shown = SCRUBBER.exception(caught(lambda: deep(100)))
    assert len(shown.split("\n")) == 18
    wide: Exception = TypeError("leaf")
    for _ in range(8):
        wide = ExceptionGroup[Exception]("", [wide, *(TypeError("leaf") for _ in range(8))])
    assert SCRUBBER.exception(wide).count("TypeError") < 12


def test_a_circle_of_exceptions_ends() -> None:
    first, second = TypeError("first"), TypeError("second")
    first.__cause__, second.__cause__ = second, first
    assert SCRUBBER.exception(first) == "TypeError: first\ncaused by TypeError: second\ncaused by …"


def test_a_text_a_little_too_long_is_cut_and_not_lost() -> None:
    assert SCRUBBER.text("x" * 1_100) == "x" * 1_024 + "… (1100 characters)"
