"""What a room's log holds: events, numbered and encoded once.

    draft   a JSON object with `type` and its own fields; what the rules decide
    event   the draft inside its envelope: `room`, `seq`, `at` first, then the draft
    record  the event encoded: exactly the bytes that are stored, and sent to every viewer

Drafts are plain JSON objects on purpose: the vocabulary is OpenAI's, it grows without us,
and what we do not know is passed through whole.

Not here: which events follow from what (rules.py), and what they add up to (room_state.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

__all__ = [
    "OPEN_STATUSES",
    "TERMINAL_TYPES",
    "Cursor",
    "JsonObject",
    "Record",
    "decode_event",
    "encode",
    "encode_events",
    "is_delta",
    "number",
]

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object. `Any` stands for a JSON value; the only place where core says so."""

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


def is_delta(event_type: str) -> bool:
    """Whether events of this type may be merged with their neighbours."""
    return event_type.endswith(".delta")


def encode(value: object) -> bytes:
    """Encode a JSON value; `orjson.Fragment`s in it are embedded as they are."""
    return orjson.dumps(value)


def number(room: str, after_seq: int, at: int, drafts: Iterable[JsonObject]) -> list[JsonObject]:
    """Put `drafts` in their envelopes, numbered from `after_seq` + 1.

    Args:
        room: Name of the room.
        after_seq: Newest number that is taken.
        at: Unix time in milliseconds.
        drafts: What was decided, in order; each has a `type`.
    """
    return [{"room": room, "seq": seq, "at": at, **draft} for seq, draft in enumerate(drafts, after_seq + 1)]


def encode_events(events: Sequence[JsonObject]) -> list[Record]:
    """Encode numbered events, each once."""
    return [Record(event["seq"], event["type"], orjson.dumps(event)) for event in events]


def decode_event(record: Record) -> JsonObject:
    """Give back the event of a record."""
    event: JsonObject = orjson.loads(record.data)
    return event
