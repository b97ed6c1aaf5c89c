"""Tests of roomcast/upstream/tokens.py."""

from __future__ import annotations

import gzip
import importlib
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from roomcast.upstream import tokens
from roomcast.upstream.tokens import O200K_PATTERN, O200K_SHA256, Tokens


@pytest.fixture(scope="module")
def loaded() -> Tokens:
    counter = Tokens()
    anyio.run(counter.load)
    return counter


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """T1: whoever asks tiktoken for a table, which it would download, fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("a table was asked for by its address")

    monkeypatch.setattr("tiktoken.load.read_file", refuse)
    monkeypatch.setattr("tiktoken.load.read_file_cached", refuse)


def test_until_the_table_is_loaded_counts_are_rough() -> None:
    counter = Tokens()
    assert not counter.loaded
    assert [counter.count(text) for text in ("", "abcd", "abcde", "x" * 4_000)] == [0, 1, 2, 1_000]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Hello world", 2),
        ("Hello, world! How are you?", 8),
        ("antidisestablishmentarianism", 6),
        ("お誕生日おめでとう", 8),
        ("<|endoftext|>", 7),
        ("half a pair \ud83c", 4),
    ],
)
def test_counts_are_those_of_o200k(loaded: Tokens, text: str, count: int) -> None:
    assert loaded.loaded
    assert loaded.count(text) == count


def test_the_encoding_is_the_one_that_tiktoken_would_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def table_of(_: str, expected_hash: str) -> dict[bytes, int]:
        assert expected_hash == O200K_SHA256
        return {bytes([byte]): byte for byte in range(256)}

    tables: Any = importlib.import_module("tiktoken_ext.openai_public")  # it has no types
    monkeypatch.setattr(tables, "load_tiktoken_bpe", table_of)
    theirs = tables.o200k_base()
    assert theirs["pat_str"] == O200K_PATTERN
    assert theirs["special_tokens"] == tokens._SPECIAL  # pyright: ignore[reportPrivateUsage]  # the one thing to compare


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_any_text_is_counted(loaded: Tokens, text: str) -> None:
    assert (loaded.count(text) > 0) == (text != "")


@pytest.mark.parametrize("unit", ["a", " ", "\n", "1", "^", "🎉", "漢", "x\u0301", "word "])
def test_the_longest_run_of_anything_is_counted_in_a_moment(loaded: Tokens, unit: str) -> None:
    """Encoded in one piece, half a million of one character take a second."""
    text = (unit * 500_000)[:500_000]
    started = time.process_time()
    count = loaded.count(text)
    assert time.process_time() - started < 0.2
    assert 500_000 / 130 < count <= 500_000 * 2.1


def test_a_long_text_is_estimated_from_samples(loaded: Tokens) -> None:
    text = "".join(f"Paragraph {number} says that the room is a log.\n" for number in range(2_000))
    exact = len(_encoding_of(loaded).encode_ordinary(text))
    assert abs(loaded.count(text) - exact) < 0.02 * exact


@pytest.mark.anyio
async def test_a_damaged_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "o200k_base.tiktoken.gz"
    damaged.write_bytes(gzip.compress(gzip.decompress(tokens.O200K_FILE.read_bytes())[:-1]))
    monkeypatch.setattr(tokens, "O200K_FILE", damaged)
    counter = Tokens()
    with pytest.raises(ValueError, match="build it again"):
        await counter.load()
    assert not counter.loaded


def test_the_table_is_small_enough_to_ship() -> None:
    assert tokens.O200K_FILE.stat().st_size < 2 * 1024 * 1024


def _encoding_of(counter: Tokens) -> tiktoken.Encoding:
    encoding: tiktoken.Encoding | None = vars(counter)["_encoding"]
    assert encoding is not None
    return encoding
