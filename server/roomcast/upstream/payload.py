"""JSON and text as models really send them, made safe to store and to send on. No I/O.

    one emoji, split by a tokenizer over two chunks:   "…[D83C]"   "[DF89]…"

Half of such a pair is a valid Python string that no encoder takes: it would end the commit,
or a viewer's connection, far from here. So halves that belong together are joined, and a
half that stays alone becomes U+FFFD.

Invariants
    J1  `parse_object` gives a JSON object or raises `BadPayload`, whatever the bytes.
    J2  What it gives can be encoded again by orjson, but for halves where it says `ragged`.
    J3  `mend` and `Halves` give strings without halves; `Halves` loses none that had its partner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn, cast

import orjson

from roomcast.core.events import JsonObject

__all__ = ["MAX_DEPTH", "BadPayload", "Halves", "as_list", "as_object", "mend", "mend_text", "parse_object"]

MAX_DEPTH: Final = 100
"""Deepest nesting that is accepted. orjson reads 1,024 levels but writes only 254, envelope included."""

REPLACEMENT: Final = "\ufffd"
_HALF: Final = re.compile("[\ud800-\udfff]")
_HIGH_FIRST, _HIGH_LAST = "\ud800", "\udbff"
_LOW_FIRST, _LOW_LAST = "\udc00", "\udfff"


class BadPayload(ValueError):
    """These bytes are no JSON object that can be sent on."""


def as_object(value: Any) -> JsonObject:
    """Return `value` if it is a JSON object, else an empty one."""
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def as_list(value: Any) -> Sequence[Any]:
    """Return `value` if it is a JSON array, else an empty one."""
    return cast(Sequence[Any], value) if isinstance(value, list) else ()


def parse_object(data: bytes) -> tuple[JsonObject, bool]:
    """Decode a JSON object.

    Returns:
        The object, and whether it is ragged: whether its strings may hold halves of surrogate
        pairs. Ragged objects are rare; see `mend` and `Halves`.

    Raises:
        BadPayload: No JSON, no object, a number without a finite value, or too deep.
    """
    ragged = False
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        # orjson is strict where the strings of real servers are not: halves of pairs, broken UTF-8.
        value, ragged = _parse_tolerantly(data), True
    if not isinstance(value, dict):
        raise BadPayload("not a JSON object")
    # Counting brackets is cheap, and too high at worst: only then is the depth worth a look.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise BadPayload("nested too deeply")
    return as_object(value), ragged


def mend(value: Any) -> Any:
    """Copy a JSON value with every half of a surrogate pair replaced by U+FFFD."""
    if isinstance(value, str):
        return mend_text(value)
    if isinstance(value, dict):
        return {mend_text(name): mend(inner) for name, inner in as_object(value).items()}
    if isinstance(value, list):
        return [mend(inner) for inner in as_list(value)]
    return value


def mend_text(text: str) -> str:
    """Return `text` with every half of a surrogate pair replaced by U+FFFD."""
    return text if text.isascii() else _HALF.sub(REPLACEMENT, text)


class Halves:
    """Join surrogate pairs that were split over the deltas of one text.

    A delta that ends in the first half is held back by that half until the next delta of the
    same text, named by `key`. What is still held at the end comes out of `flush`.
    """

    def __init__(self) -> None:
        self._held: dict[Hashable, str] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is held."""
        return not self._held

    def join(self, key: Hashable, delta: str) -> str:
        """Return what can be shown of `key`'s text now; it may be empty."""
        if not self._held and delta.isascii():
            return delta
        half = self._held.pop(key, "")
        if not half and not _HALF.search(delta):
            return delta
        if half and delta and _LOW_FIRST <= delta[0] <= _LOW_LAST:
            whole = (half + delta[0]).encode("utf-16", "surrogatepass").decode("utf-16")
            delta, half = whole + delta[1:], ""
        if delta and _HIGH_FIRST <= delta[-1] <= _HIGH_LAST:
            self._held[key] = delta[-1]
            delta = delta[:-1]
        elif half and not delta:
            self._held[key] = half
            return ""
        return mend_text(half + delta)

    def flush(self, key: Hashable) -> str:
        """The text of `key` has ended: return what stands for a half that was held, or nothing."""
        return REPLACEMENT if self._held.pop(key, "") else ""

    def flush_all(self) -> Iterator[tuple[Hashable, str]]:
        """Every text has ended: give the keys of those with a half held, and what stands for it."""
        while self._held:
            key, _ = self._held.popitem()
            yield key, REPLACEMENT


def _parse_tolerantly(data: bytes) -> Any:
    try:
        # "replace" also for surrogates written as UTF-8 bytes, which are not UTF-8.
        return json.loads(
            data.decode("utf-8", "replace"), parse_constant=_refuse, parse_int=_integer, parse_float=_finite
        )
    except (ValueError, RecursionError):
        # Without the cause: its message quotes the data, and this may be printed.
        raise BadPayload("not JSON") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if number - number != 0:
        raise ValueError("not a finite number")
    return number


def _integer(digits: str) -> int | float:
    """An integer if 64 bits hold it, else a float, as orjson does; it could not be written otherwise."""
    number = int(digits)
    return number if -(1 << 63) <= number < 1 << 64 else _finite(digits)


def _deeper_than(value: Any, levels: int) -> bool:
    layer: list[Any] = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in _children(outer) if isinstance(inner, (dict, list))]
        if not layer:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    return as_object(value).values() or as_list(value)
