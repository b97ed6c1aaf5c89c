"""What a room's log holds: events, numbered and encoded once.

    draft   a JSON object with `type` and its own fields; what the rules decide
    event   the draft inside its envelope: `room`, `seq`, `at` first, then the draft
    record  the event encoded: exactly the bytes that are stored, and sent to every viewer

Drafts are plain JSON objects on purpose: the vocabulary is OpenAI's, it grows without us,
and what we do not know is passed through whole. `as_object` and `as_array` are how the rest
of core looks into JSON that somebody else made.

Not here: which events follow from what (rules.py), and what they add up to (room_state.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

import orjson

__all__ = [
    "OPEN_STATUSES",
    "TERMINAL_TYPES",
    "Cursor",
    "JsonObject",
    "Record",
    "as_array",
    "as_object",
    "decode_event",
    "encode",
    "encode_events",
    "envelope",
    "is_delta",
    "number",
]

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object. `Any` stands for a JSON value; core says so here and in `as_array` only."""

TERMINAL_TYPES: Final = frozenset(
    f"response.{ending}" for ending in ("completed", "incomplete", "failed", "cancelled", "interrupted")
)
"""Events that end a response; each response gets exactly one."""

OPEN_STATUSES: Final = frozenset({"queued", "in_progress", "cancelling"})
"""Statuses of a response that has no terminal yet."""


class Cursor(NamedTuple):
    """A place between two events: everything up to `seq` of `epoch` has been applied."""

    epoch: str
    seq: int


class Record(NamedTuple):
    """One committed event, encoded.

    Attributes:
        seq: Its number within the epoch, from 1; dense.
        type: Its `type`, so that most readers need not parse `data`.
        data: The event as JSON in UTF-8; the unit of storage and of fan-out.
    """

    seq: int
    type: str
    data: bytes


def as_object(value: object) -> JsonObject | None:
    """`value` itself if it is a JSON object, else None."""
    return value if _is_object(value) else None


def as_array(value: object) -> list[Any] | None:
    """`value` itself if it is a JSON array, else None."""
    return value if _is_array(value) else None


def is_delta(event_type: str) -> bool:
    """Whether events of this type may be merged with their neighbours."""
    return event_type.endswith(".delta")


def encode(value: object) -> bytes:
    """Encode a JSON value; `orjson.Fragment`s in it are embedded as they are."""
    return orjson.dumps(value)


def envelope(room: str, seq: int, at: int, draft: JsonObject) -> JsonObject:
    """Put one draft in its envelope.

    Args:
        room: Name of the room.
        seq: Number of the event.
        at: Unix time in milliseconds.
        draft: What was decided; it has a `type` and none of the envelope's names.
    """
    return {"room": room, "seq": seq, "at": at, **draft}


def number(room: str, after_seq: int, at: int, drafts: Iterable[JsonObject]) -> list[JsonObject]:
    """Put `drafts` in their envelopes, in order; the first gets the number behind `after_seq`."""
    return [envelope(room, seq, at, draft) for seq, draft in enumerate(drafts, after_seq + 1)]


def encode_events(events: Sequence[JsonObject]) -> list[Record]:
    """Encode numbered events, each once."""
    return [Record(event["seq"], event["type"], orjson.dumps(event)) for event in events]


def decode_event(record: Record) -> JsonObject:
    """Give back the event of a record."""
    event: JsonObject = orjson.loads(record.data)
    return event


def _is_object(value: object) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
