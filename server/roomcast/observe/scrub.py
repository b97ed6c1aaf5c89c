"""Nothing private gets into a log line, at any level.

    S1  Content never: fields that carry it by name (`prompt`, `delta`, `text`, …) are replaced.
    S2  Secrets never: the ones we know are replaced wherever they stand; so is what looks like one.
    S3  Values that are not plain (objects, bytes) show as their type: their `repr` may quote either.
    S4  One line each: control characters are escaped, long texts cut, deep structures cut.
    S5  An exception shows its type and where it happened. Its words are shown only when the
        interpreter, the operating system or we wrote them: others quote their input.

Not here: writing lines (logging.py).
"""

from __future__ import annotations

import enum
import os
import re
import traceback
from collections.abc import Iterable, Mapping
from itertools import islice
from types import TracebackType
from typing import Final, cast

from roomcast.core.errors import ServerError

__all__ = ["HIDDEN", "Scrubber"]

HIDDEN: Final = "***"

_PRIVATE: Final = frozenset(
    {
        *("api_key", "authorization", "cookie", "credentials", "headers", "password", "secret", "ticket", "token"),
        *("arguments", "body", "content", "delta", "input", "instructions", "messages", "output", "prompt", "text"),
    }
)
"""Names of fields that carry content or secrets, in lower case with underscores."""

_PRIVATE_ENDINGS: Final = ("_api_key", "_content", "_cookie", "_password", "_prompt", "_secret", "_text", "_token")

_LOOKS_SECRET: Final = re.compile(
    r"""
      (?P<bearer> bearer [\s:=]+ ) [\w.~+/=-]{4,}
    | (?P<named> (?<![a-z0-9])
        (?: authorization | api[_-]?key | (?:access_|refresh_|id_)?token | ticket | password | secret )
        (?: ["']? \s* [:=] \s* (?: b?["'] )? | ["'] \s* , \s* b?["'] ) (?: (?: basic | bearer ) \s+ )?
      ) (?!\*\*\*) [^\s"'&,;}\])]+
    | (?P<prefix> \b (?: sk | pk | rk | gsk | xai | hf | ghp | glpat ) [-_] ) [\w*.-]{6,}
    | \b eyJ [\w-]{4,} (?: \. [\w-]* ){0,4}
    | (?P<address> :// ) [^\s/@:]* : [^\s/@]+ (?=@)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""In this order: bearer tokens, named values, keys with a known prefix, JSON web tokens, passwords in addresses."""

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_TEXT: Final = 1024
"""Longest text, in characters."""
_ITEMS: Final = 32
"""Most entries of a list or table."""
_DEPTH: Final = 4
_FRAMES: Final = 16
"""Innermost frames shown of each exception."""
_EXCEPTIONS: Final = 12
"""Most exceptions shown of a chain or group."""

_PLAIN_WORDS: Final = (
    AssertionError,
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    OSError,
    ServerError,
    TypeError,
)
"""Exceptions whose words name code, files and numbers, not input."""


class Scrubber:
    """Makes values safe to log.

    Args:
        secrets: Texts that must never show, whatever they look like. Shorter ones than eight
            characters are passed over: to replace them would spoil words and protect nothing.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        # A secret that is cut in half is not recognised; so the end of what was looked at is not shown.
        self._margin = max(map(len, known), default=0) + 256

    def text(self, value: str) -> str:
        """Return `value` on one line, without secrets, cut when it is long."""
        shown = value[: _TEXT + self._margin]
        if self._known is not None:
            shown = self._known.sub(HIDDEN, shown)
        shown = _LOOKS_SECRET.sub(_mask, shown)
        if len(value) <= _TEXT:
            return _UNSAFE.sub(_escape, shown)
        if len(value) > _TEXT + self._margin:
            shown = shown[: -self._margin]
        return f"{_UNSAFE.sub(_escape, shown[:_TEXT])}… ({len(value)} characters)"

    def field(self, name: str, value: object) -> object:
        """Return what may stand under `name`."""
        return HIDDEN if _is_private(name) and value is not None else self.value(value)

    def value(self, value: object, depth: int = 0) -> object:
        """Return `value` as plain data: text, number, truth value, None, list, table."""
        match value:
            case None | bool():
                return value
            case enum.Enum():
                return self.value(cast("object", value.value), depth)
            case int():
                return int(value) if -(2**63) <= value < 2**63 else f"<{value.bit_length()} bits>"
            case float():
                return float(value)
            case str():
                return self.text(value)
            case os.PathLike():
                return self.text(os.fsdecode(cast("os.PathLike[str]", value)))
            case bytes() | bytearray():
                return f"<{len(value)} bytes>"
            case Mapping() if depth < _DEPTH:
                pairs = islice(cast("Mapping[object, object]", value).items(), _ITEMS)
                return {
                    (shown := self.text(str(name))): HIDDEN if _is_private(shown) else self.value(item, depth + 1)
                    for name, item in pairs
                }
            case list() | tuple() | set() | frozenset() if depth < _DEPTH:
                return [self.value(item, depth + 1) for item in islice(cast("Iterable[object]", value), _ITEMS)]
            case BaseException():
                return self._words(value)
            case _:
                return f"<{type(value).__qualname__}>"

    def exception(self, error: BaseException) -> str:
        """Return `error` with its causes and where each happened; without source lines and local values."""
        return "\n".join(self._chain(error, "", set()))

    def _chain(self, error: BaseException, relation: str, seen: set[int]) -> list[str]:
        if len(seen) == _EXCEPTIONS or id(error) in seen:
            return [f"{relation}…"]
        seen.add(id(error))
        lines = [f"{relation}{self._words(error)}", *_frames(error.__traceback__)]
        if isinstance(error, BaseExceptionGroup):
            parts = cast("BaseExceptionGroup[BaseException]", error).exceptions[:_EXCEPTIONS]
            for index, part in enumerate(parts, 1):
                lines += [f"  {line}" for line in self._chain(part, f"{index}: ", seen)]
        if error.__cause__ is not None:
            lines += self._chain(error.__cause__, "caused by ", seen)
        elif error.__context__ is not None and not error.__suppress_context__:
            lines += self._chain(error.__context__, "while handling ", seen)
        return lines

    def _words(self, error: BaseException) -> str:
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        plain = isinstance(error, _PLAIN_WORDS) or kind is RuntimeError or kind.__module__ == "sqlite3"
        return f"{name}: {self.text(str(error))}" if plain and str(error) else name


def _is_private(name: str) -> bool:
    plain = name.lower().replace("-", "_")
    return plain in _PRIVATE or plain.endswith(_PRIVATE_ENDINGS)


def _mask(match: re.Match[str]) -> str:
    kept = match["bearer"] or match["named"] or match["prefix"] or match["address"] or ""
    return f"{kept}{HIDDEN}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return {10: "\\n", 13: "\\r", 9: "\\t"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _frames(last: TracebackType | None) -> list[str]:
    frames = list(traceback.walk_tb(last))
    shown = [f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}" for frame, line in frames[-_FRAMES:]]
    return [f"  … {len(frames) - _FRAMES} more", *shown] if len(frames) > _FRAMES else shown
