"""Who may talk when: what happens to a prompt that arrives while a response runs.

Served: `enqueue` (wait in line) and `reject`. The other policies of docs/protocol.md come
with a later issue; they are refused by name until then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.room_state import Response, RoomState

if TYPE_CHECKING:
    from roomcast.core.rules import Batch

__all__ = ["Turn", "admit", "queue_changed", "queue_entries", "start_next"]

SERVED: Final = ("enqueue", "reject")


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a prompt waits, and the policy that said so (None: the room was free)."""

    queued: bool
    applied: str | None


def admit(batch: Batch, wanted: str | None) -> Turn:
    """Decide whether a new prompt starts at once or waits.

    Raises:
        Refusal: `room_busy`, `queue_full`, or `not_supported` for a policy of a later version.
    """
    state = batch.state
    policy = wanted or state.settings.get("on_busy") or batch.rulebook.on_busy
    if policy not in SERVED:
        raise Refusal("not_supported", f"on_busy {policy} is not served yet", param="on_busy")
    if batch.draining:
        raise Refusal("draining", "the server is about to stop; come back in a moment")
    if not state.unfinished:
        return Turn(queued=False, applied=None)
    if policy == "reject":
        raise Refusal("room_busy", "a response is already running in this room")
    if len(state.queue) >= batch.rulebook.limits.queue_length:
        raise Refusal("queue_full", f"{len(state.queue)} prompts are waiting already")
    return Turn(queued=True, applied=policy)


def queue_changed(batch: Batch) -> None:
    """Tell everybody what waits now."""
    batch.emit({"type": "queue.updated", "queue": queue_entries(batch.state)})


def queue_entries(state: RoomState) -> list[JsonObject]:
    """The waiting prompts, next first: `{response_id, item_id, by, at, profile}`."""
    waiting = (state.responses[queued] for queued in state.queue)
    return [
        {
            "response_id": response.id,
            "item_id": response.prompt_id,
            "by": response.by,
            "at": response.created_at,
            "profile": response.profile,
        }
        for response in waiting
    ]


def start_next(batch: Batch, start: Callable[[Batch, Response], None]) -> None:
    """Start what waits first, if nothing runs and something may start."""
    state = batch.state
    if state.queue and not state.running and not batch.draining:
        start(batch, state.responses[state.queue[0]])
        queue_changed(batch)
