"""Who may talk when: what happens to a prompt that arrives while a response runs.

Served: `enqueue` (wait in line) and `reject`. The other policies of docs/protocol.md come
with a later issue; they are refused by name until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roomcast.core.batch import Batch
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.response_state import Status
from roomcast.core.room_state import Response, RoomState

__all__ = ["Turn", "admit", "queue_changed", "queue_entries", "require_served", "start", "start_next"]

SERVED: Final = frozenset({"enqueue", "reject"})


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a prompt waits, and the policy that said so (None: the room was free)."""

    queued: bool
    applied: str | None


def require_served(policy: str | None) -> None:
    """Raise `Refusal` (`not_supported`) for an `on_busy` policy of a later version."""
    if policy is not None and policy not in SERVED:
        raise Refusal("not_supported", f"on_busy {policy} is not served yet", param="on_busy")


def admit(batch: Batch, wanted: str | None) -> Turn:
    """Decide whether a new prompt starts at once or waits.

    Args:
        batch: Where it is being decided.
        wanted: The asker's `on_busy`; None leaves it to the room.

    Raises:
        Refusal: `room_busy`, `queue_full`, `draining`, or `not_supported` for a policy of a later version.
    """
    state = batch.state
    policy = wanted or state.settings.get("on_busy") or batch.rulebook.on_busy
    require_served(policy)
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


def start(batch: Batch, response: Response) -> None:
    """Say that a response runs from here on; committed before anybody opens the upstream."""
    shown: JsonObject = {**response.base, "status": Status.IN_PROGRESS.value, "output": []}
    batch.emit({"type": "response.in_progress", "response_id": response.id, "response": shown})


def start_next(batch: Batch) -> None:
    """Start what waits first, if nothing runs and something may start."""
    state = batch.state
    if state.queue and not state.running and not batch.draining:
        start(batch, state.responses[state.queue[0]])
        queue_changed(batch)
