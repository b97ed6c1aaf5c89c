"""From what somebody wrote to the value that a key takes, or words for what was expected.

Texts (environment, flags) are read leniently: "8080" is a number, `a,b` a list. A file has types of
its own, so there the text "8080" is not a number.

Not here: rules between two keys (checks.py), lists of tokens (tokens.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast, get_args, get_origin

import msgspec

from roomcast.config import addresses
from roomcast.config.keys import Key
from roomcast.config.problems import Unfit
from roomcast.core.settings import Secret

__all__ = ["decode", "secret"]


def decode(key: Key, raw: object, *, lenient: bool) -> object:
    """Return the value of `key`.

    Args:
        key: What was set.
        raw: As written: a text, or what TOML made of it.
        lenient: Whether a text may stand for a number, a truth value or a list.

    Raises:
        Unfit: Saying what was expected, and repeating the value unless it is a secret.
    """
    if key.secret:
        return secret(raw)
    expected = _expected(key)
    value = _convert(key, raw, lenient=lenient, expected=expected)
    if key.bound is not None and value is not None:
        assert isinstance(value, int | float)
        if not key.bound.holds(value):
            raise Unfit(expected, raw)
    if not all(map(_PLAIN.fullmatch, _texts(value))):
        raise Unfit("text without control characters", raw)
    refine = _REFINE.get(key.path)
    return value if refine is None or value is None else refine(value)


def secret(raw: object) -> Secret:
    """Return a secret that can stand in an HTTP header.

    A key with a stray newline would otherwise be refused far from here, by a library whose
    message quotes it.

    Raises:
        Unfit: Without the value.
    """
    if not isinstance(raw, str) or not _VISIBLE.fullmatch(raw):
        raise Unfit("a text of visible ASCII characters, without spaces")
    return Secret(raw)


def _texts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else cast("tuple[str, ...]", value) if isinstance(value, tuple) else ()


def _convert(key: Key, raw: object, *, lenient: bool, expected: str) -> object:
    kind: object = tuple[str, ...] if key.hint == Sequence[str] else key.hint
    if lenient and isinstance(raw, str):
        raw = raw.strip()
        if key.hint == Sequence[str]:
            raw = _items(raw, expected)
    try:
        return msgspec.convert(raw, kind, strict=not lenient)
    except msgspec.ValidationError:
        raise Unfit(expected, raw) from None


def _items(text: str, expected: str) -> object:
    """A list as JSON, or separated by commas."""
    if not text.startswith("["):
        return [item for part in text.split(",") if (item := part.strip())]
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise Unfit(f"{expected}, as JSON or separated by commas", text) from None


def _expected(key: Key) -> str:
    hint = key.hint
    kinds = get_args(hint) if get_origin(hint) is not None and type(None) in get_args(hint) else (hint,)
    if bool in kinds:
        return "true or false"
    if int in kinds or float in kinds:
        number = "a whole number" if int in kinds else "a number"
        return f"{number} {key.bound}"
    if str in kinds:
        return "a text"
    if hint == Sequence[str]:
        return "a list of texts"
    return f"one of {', '.join(map(str, get_args(hint)))}"


_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")


def _each(refine: Callable[[str], str]) -> Callable[[object], object]:
    def refine_all(value: object) -> object:
        return tuple(dict.fromkeys(map(refine, _texts(value))))

    return refine_all


def _text(refine: Callable[[str], str]) -> Callable[[object], object]:
    def refine_text(value: object) -> object:
        assert isinstance(value, str)
        return refine(value)

    return refine_text


def _header(value: str) -> str:
    if not _VISIBLE.fullmatch(value):
        raise Unfit("a text of visible ASCII characters, without spaces", value)
    return value


def _filled(value: str) -> str:
    if not value.strip():
        raise Unfit("a text that is not empty", value)
    return value


_REFINE: Final[Mapping[str, Callable[[object], object]]] = {
    "server.host": _text(addresses.host),
    "server.allowed_origins": _each(addresses.origin),
    "server.trusted_proxies": _each(addresses.network),
    "upstream.model": _text(_filled),
    "upstream.base_url": _text(addresses.base_url),
    "upstream.organization": _text(_header),
    "upstream.project": _text(_header),
    "storage.url": _text(addresses.storage),
    "storage.data": _text(_filled),
}
