"""What waits for a commit: what somebody wants, or what happened outside. Not yet facts.

The room's committer decides intents in order on the committed state (rules.py). An intent
may be decided again when another writer was first; it must hold everything that needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from roomcast.core.commands import RoomCommand
from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.ports import Finish
from roomcast.core.session import SYSTEM, Member

__all__ = ["Commanded", "CutShort", "Due", "Ended", "Ending", "HungUp", "Intent", "Opened", "Produced", "Recovered"]


@dataclass(frozen=True, slots=True)
class Opened:
    """Somebody wants the room to exist."""

    member: Member = SYSTEM


@dataclass(frozen=True, slots=True)
class Commanded:
    """A member's command.

    Attributes:
        item_id: Fresh id for the item that it may add.
        response_id: Fresh id for the response that it may start.
    """

    command: RoomCommand
    member: Member
    item_id: str
    response_id: str


@dataclass(slots=True)
class Produced:
    """Pieces of output, in order: drafts without `response_id` and `sequence_number`. Grows while it waits."""

    response_id: str
    drafts: list[JsonObject]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CutShort:
    """A bound ended it, or the stream did without a finish: `incomplete` with this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """We closed the upstream's connection because the room wanted it; `after_ms` from then."""

    after_ms: int


Ending: TypeAlias = Finish | UpstreamError | CutShort | HungUp
"""How a generation's stream ended, as the runner saw it; the rules say what that means."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A generation is over.

    Attributes:
        usage: As reported, or estimated, in the Responses API's shape with `source`.
        first_output_ms: From its start to the first output, monotonic; None without output.
        total_ms: From its start to now, monotonic.
    """

    response_id: str
    ending: Ending
    usage: JsonObject = field(default_factory=dict[str, object])
    first_output_ms: int | None = None
    total_ms: int = 0


@dataclass(frozen=True, slots=True)
class Recovered:
    """Nobody runs these responses any more: `cause` is restart, drain or owner_lost.

    Attributes:
        response_ids: None means all that are running.
        start_next: Whether what waits in the queue may start.
    """

    cause: str
    response_ids: tuple[str, ...] | None = None
    start_next: bool = True


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline of the room is over (deadlines.py)."""

    name: str


Intent: TypeAlias = Opened | Commanded | Produced | Ended | Recovered | Due
