"""Bytes of the demo's answers: JSON, server-sent events, and OpenAI's error envelope."""

from __future__ import annotations

import json
from enum import StrEnum

import orjson

__all__ = ["DONE", "EVENT_STREAM", "JSON", "Finish", "encode_json", "error_body", "padding", "sse"]

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
"""How Chat Completions says that nothing follows; the Responses API has no such line."""

_PAD_TO = 16


class Finish(StrEnum):
    """Why an answer ends, in the words of Chat Completions."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


def encode_json(value: object) -> bytes:
    """Encode as OpenAI does: compact, UTF-8. Half of a surrogate pair comes out as an escape."""
    try:
        return orjson.dumps(value)
    except TypeError:  # orjson refuses text that UTF-8 cannot hold; some upstreams send it all the same
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def sse(value: object, *, event: str | None = None) -> bytes:
    """Encode one server-sent event."""
    name = b"" if event is None else b"event: %b\n" % event.encode("ascii")
    return b"%bdata: %b\n\n" % (name, encode_json(value))


def error_body(message: str, *, type: str = "invalid_request_error", param: str | None, code: str | None) -> bytes:
    """Encode OpenAI's error envelope."""
    return encode_json({"error": {"message": message, "type": type, "param": param, "code": code}})


def padding(delta: str) -> str:
    """Return the `obfuscation` of a delta: it fills up to a multiple of 16, so that sizes reveal no token.

    OpenAI's is random. A fixed one hides just as little from loopback, and keeps the bytes reproducible.
    """
    return "simulated-padding"[: _PAD_TO - len(delta) % _PAD_TO]
