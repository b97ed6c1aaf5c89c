"""What travels between the client and whoever uses it. Values only.

A `RoomEvent` is one of three kinds:

    event    `seq` is a number: a fact of the log, handed over exactly once
    signal   `seq` is None: something of the moment (presence, lag, drain)
    reset    `is_reset`: what was known is replaced by `snapshot`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from roomcast.core.events import TERMINAL_TYPES, JsonObject

__all__ = ["Asked", "Page", "RoomEvent", "Status", "Stopped", "as_object"]


def as_object(value: object) -> JsonObject:
    """Take a JSON value as an object; anything else counts as an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


class Status(StrEnum):
    """How a room stands to its server."""

    CONNECTING = "connecting"  # not joined yet
    REPLAYING = "replaying"  # joined, and behind what was newest then
    LIVE = "live"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """One thing that happened in a room.

    Attributes:
        type: Name of the kind, such as `response.output_text.delta`.
        seq: Its number in the log; None for a signal. A reset stands at the number of its snapshot.
        seq_from: First number that it covers: merged deltas, and kinds that we did not ask for.
        data: The whole object as it came, `type` and `seq` included.
    """

    type: str
    seq: int | None
    seq_from: int | None
    data: JsonObject

    @property
    def is_signal(self) -> bool:
        """Whether it is of the moment and stands in no log."""
        return self.seq is None

    @property
    def is_reset(self) -> bool:
        """Whether it replaces what was known by `data["snapshot"]`."""
        return self.type == "room.reset"

    @property
    def is_terminal(self) -> bool:
        """Whether it ends a response."""
        return self.type in TERMINAL_TYPES

    @property
    def response_id(self) -> str | None:
        """The response that it belongs to, if any."""
        return self.data.get("response_id")

    @property
    def delta(self) -> str:
        """The piece of the answer's text that it brings; empty for all other kinds."""
        return str(self.data.get("delta", "")) if self.type == "response.output_text.delta" else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message was accepted.

    Attributes:
        item_id: The message.
        seq: Number of its `item.created`.
        response_id: Its answer; None when none was asked for.
        status: Of the answer: `queued` or `in_progress`.
        position: Place in the queue, if it is queued.
        on_busy: What the room did about a response that was running.
    """

    item_id: str
    seq: int
    response_id: str | None = None
    status: str | None = None
    position: int | None = None
    on_busy: str | None = None

    @classmethod
    def from_json(cls, result: JsonObject) -> Asked:
        """Read the result of `message.create`."""
        return cls(
            item_id=result["item_id"],
            seq=result["seq"],
            response_id=result.get("response_id"),
            status=result.get("status"),
            position=result.get("position"),
            on_busy=result.get("on_busy"),
        )


@dataclass(frozen=True, slots=True)
class Stopped:
    """A cancel was accepted: `status` is `cancelling`, or how the response had ended already."""

    response_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of the history, newest first."""

    items: Sequence[JsonObject]
    has_more: bool
