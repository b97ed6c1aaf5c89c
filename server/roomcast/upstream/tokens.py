"""Estimates of token counts, offline: the table of `o200k_base` comes with the package.

They serve budgets and the receipts of generations that ended before the upstream reported its
usage; what was reported always wins. No newer encoding is published, so newer models are
estimated with this one as well.

Invariants
    T1  Nothing is fetched, ever. `tiktoken` would download its tables, so its registry is not asked.
    T2  `count` never raises and its time is bounded, whatever the text.

`scripts/build_o200k.py` makes the table's file. What a chat format adds to the text is the
runner's to add.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from roomcast.core.usage import rough_count

if TYPE_CHECKING:
    import tiktoken

__all__ = ["O200K_FILE", "O200K_PATTERN", "O200K_SHA256", "Tokens"]

O200K_FILE: Final = Path(__file__).parent / "data" / "o200k_base.tiktoken.gz"
O200K_SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of the table before it was gzipped, as tiktoken knows it."""

O200K_PATTERN: Final = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
"""How text is cut before it is encoded; the same as in tiktoken (a test compares them)."""

_SPECIAL: Final = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}

_PIECE_CHARACTERS: Final = 2_000
"""Text is encoded in pieces of this length: a run of one character costs time by its length squared
(a second for 500,000), and a cut costs a token at most."""

_PIECES: Final = 16
"""Of a longer text so many pieces are encoded, spread evenly, and the rest is extrapolated."""


class Tokens:
    """Counts tokens; roughly until `load` is done."""

    def __init__(self) -> None:
        self._encoding: tiktoken.Encoding | None = None

    @property
    def loaded(self) -> bool:
        """Whether counts come from the table."""
        return self._encoding is not None

    async def load(self) -> None:
        """Read the table, in a thread: half a second of CPU and 80 MB, so once a process, after ready.

        Raises:
            ValueError: The file is not the table.
        """
        self._encoding = await anyio.to_thread.run_sync(_read_o200k, abandon_on_cancel=True)

    def count(self, text: str) -> int:
        """Tokens in `text`, at most a few milliseconds' worth of it being looked at."""
        if self._encoding is None:
            return rough_count(text)
        length = len(text)
        if length <= _PIECES * _PIECE_CHARACTERS:
            starts = range(0, length, _PIECE_CHARACTERS)
        else:
            stride = (length - _PIECE_CHARACTERS) // (_PIECES - 1)
            starts = range(0, stride * _PIECES, stride)
        pieces = [text[start : start + _PIECE_CHARACTERS] for start in starts]
        # `ordinary`: what a user types is text, also where it looks like a special token.
        counted = sum(len(self._encoding.encode_ordinary(piece)) for piece in pieces)
        return counted if length <= _PIECES * _PIECE_CHARACTERS else round(counted * length / sum(map(len, pieces)))


def _read_o200k() -> tiktoken.Encoding:
    """Build the encoding from the file, without tiktoken's own loader, which would use the network."""
    import tiktoken

    table = gzip.decompress(O200K_FILE.read_bytes())
    if hashlib.sha256(table).hexdigest() != O200K_SHA256:
        raise ValueError(f"{O200K_FILE.name} is not the table it should be; build it again with scripts/build_o200k.py")
    ranks: dict[bytes, int] = {}
    for line in table.splitlines():
        token, _, rank = line.partition(b" ")
        ranks[base64.b64decode(token)] = int(rank)
    return tiktoken.Encoding("o200k_base", pat_str=O200K_PATTERN, mergeable_ranks=ranks, special_tokens=_SPECIAL)
