"""Token counts as the upstream reported them, in the shape of the Responses API. No I/O."""

from __future__ import annotations

from typing import Any, Final

import orjson

from roomcast.core.events import JsonObject
from roomcast.upstream.payload import as_object, mend

__all__ = ["chat_usage", "responses_usage"]

_MOST: Final = 1 << 53
"""A count above this is a mistake, and no JavaScript client could hold it."""

_MOST_BYTES: Final = 4 * 1024
"""Details of more bytes are left out: a room keeps the usage of hundreds of responses."""


def responses_usage(usage: Any) -> JsonObject | None:
    """The `usage` of a response, or None where the counts that everybody needs are not there."""
    given = as_object(usage)
    counted = _counts(given.get("input_tokens"), given.get("output_tokens"))
    if not counted:
        return None
    usage = {**mend(given), **counted}
    return usage if len(orjson.dumps(usage)) <= _MOST_BYTES else counted


def chat_usage(usage: Any) -> JsonObject | None:
    """The `usage` of a chat completion, put into the other API's names; None where there is none."""
    given = as_object(usage)
    counted = _counts(given.get("prompt_tokens"), given.get("completion_tokens"))
    if not counted:
        return None
    prompt = as_object(given.get("prompt_tokens_details"))
    completion = as_object(given.get("completion_tokens_details"))
    return {
        **counted,
        "input_tokens_details": {"cached_tokens": _count(prompt.get("cached_tokens")) or 0},
        "output_tokens_details": {"reasoning_tokens": _count(completion.get("reasoning_tokens")) or 0},
    }


def _counts(input_tokens: Any, output_tokens: Any) -> JsonObject | None:
    read, written = _count(input_tokens), _count(output_tokens)
    if read is None or written is None:
        return None
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None
