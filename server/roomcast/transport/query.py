"""Query strings, as strict as commands: each name once, and none that nobody knows."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from roomcast.core.errors import Refusal

__all__ = ["IDENTITY", "integer", "read_query"]

IDENTITY: Final = frozenset({"member", "name", "ticket"})
"""Names that any address takes: who is asking."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,15}")


def read_query(query: str, *, known: frozenset[str] | None = None) -> dict[str, str]:
    """Take a query string apart.

    Args:
        query: As sent, without the question mark.
        known: Names that are expected beside `IDENTITY`; None takes any.

    Raises:
        Refusal: `invalid_value` for one that cannot be read or names something twice,
            `unknown_field` for a name that is not expected.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        raise Refusal("invalid_value", "the query is not readable: UTF-8, at most 32 fields", param="query") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
        raise Refusal("invalid_value", "this stands more than once in the query", param=twice[:64])
    if known is not None and (unknown := found.keys() - known - IDENTITY):
        raise Refusal("unknown_field", "the query has no such field here", param=min(unknown)[:64])
    return found


def integer(text: str) -> int | str:
    """The number that `text` writes; else `text` itself, for the check of types to refuse."""
    return int(text) if _INTEGER.fullmatch(text) else text
