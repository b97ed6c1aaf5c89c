"""Text as a model sends it: in small pieces, cut at word and subword boundaries.

These are no real tokens, and need not be: what counts is that they look alike on the wire, that they are the same
each time, and that none ends inside of what a reader takes for one character.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

__all__ = ["estimate", "graphemes", "split"]

_ZERO_WIDTH_JOINER = "\u200d"
_LONGEST_WORD_PIECE = 6
_LONGEST_MARK_PIECE = 3
_BYTES_PER_TOKEN = 4


def estimate(text: str) -> int:
    """Estimate the tokens of `text`: a quarter of its bytes, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def split(text: str, *, seed: str) -> tuple[str, ...]:
    """Cut `text` into pieces that add up to it again.

    A word of up to six characters is one piece, with the space before it. A longer one is cut into pieces of two to
    six. Punctuation comes in pieces of up to three, line breaks and indents whole, each emoji alone.
    """
    rng = random.Random(f"split/{seed}")
    pieces: list[str] = []
    lead = ""  # a space that belongs to the word that follows
    for kind, group in groupby(graphemes(text), key=_kind):
        run = list(group)
        if kind == "space":
            if len(run) > 1:
                pieces.append("".join(run[:-1]))
            lead = run[-1]
            continue
        first, *others = _cut(kind, run, rng)
        pieces += [lead + first, *others]
        lead = ""
    return (*pieces, lead) if lead else tuple(pieces)


def graphemes(text: str) -> Iterator[str]:
    """Yield what a reader takes for single characters.

    A short form of Unicode's rules (UAX 29) for what the script contains: combining marks, joined emoji, skin tones,
    flags, tags, keycaps, line breaks of two characters. Hangul in single letters is not joined.
    """
    start = 0
    for here in range(1, len(text)):
        if not _joins(text, start, here):
            yield text[start:here]
            start = here
    if text:
        yield text[start:]


def _joins(text: str, start: int, here: int) -> bool:
    """Whether the character at `here` belongs to the cluster that began at `start`."""
    before, char = text[here - 1], text[here]
    if char.isascii():
        return before == "\r" and char == "\n"
    if char == _ZERO_WIDTH_JOINER or before == _ZERO_WIDTH_JOINER or unicodedata.category(char) in ("Mn", "Mc", "Me"):
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f":
        return True
    return _is_flag_half(char) and _is_flag_half(before) and here - start == 1


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _kind(cluster: str) -> str:
    if cluster in ("\n", "\r", "\r\n"):
        return "break"
    if cluster.isspace():
        return "space"
    # A keycap starts with a digit, and would be cut out of a word that it does not belong to.
    if cluster[0].isalnum() and not cluster.endswith("\u20e3"):
        return "word"
    return "mark" if cluster.isascii() else "symbol"


def _cut(kind: str, run: Sequence[str], rng: random.Random) -> list[str]:
    match kind:
        case "break":
            return ["".join(run)]
        case "symbol":
            return list(run)
        case "mark":
            return _chunks(run, [_LONGEST_MARK_PIECE] * len(run))
        case _ if len(run) <= _LONGEST_WORD_PIECE:
            return ["".join(run)]
        case _:
            return _chunks(run, [rng.randint(3, _LONGEST_WORD_PIECE) for _ in run])


def _chunks(run: Sequence[str], sizes: Sequence[int]) -> list[str]:
    chunks: list[str] = []
    at = 0
    for size in sizes:
        if at >= len(run):
            break
        # No piece of a single letter at the end: this one gives one up for it.
        take = size - 1 if size > 2 and len(run) - at == size + 1 else size
        chunks.append("".join(run[at : at + take]))
        at += take
    return chunks
