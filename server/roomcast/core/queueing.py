"""Who may talk when: what happens to a prompt that arrives while a response runs.

    enqueue     it waits in line
    reject      it is turned away
    interrupt   what runs is stopped, keeps its text, and it is next
    latest      it takes the place of the prompts that waited; they are not answered any more
    merge       it takes the place of the prompts that waited, and is answered together with them
    debounce    like latest, and it starts only when nobody has asked for a while

Invariants
    Q1  The line is served in the order that it is shown in.
    Q2  Nobody waits for another member's second prompt: members take turns. Who passes
        somebody in line has fewer prompts ahead of the new one than that one's member has.
    Q3  A policy that the room itself has concerns everybody's waiting prompts; one that a member
        asks for, only that member's own, unless the member is a moderator.

The policies that are missing (`rollback`, `alongside`, `steer`) come with a later issue;
they are refused by name until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from roomcast.core import endings
from roomcast.core.batch import Batch
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.response_state import Status
from roomcast.core.room_state import Response, RoomState
from roomcast.core.session import Member, Role

__all__ = [
    "Turn",
    "admit",
    "cancel_running",
    "line_up",
    "queue_changed",
    "queue_entries",
    "require_served",
    "start",
    "start_next",
]

SERVED: Final = frozenset({"enqueue", "reject", "interrupt", "latest", "merge", "debounce"})

_ABSORBS: Final = {"latest": "superseded", "merge": "merged", "debounce": "superseded"}
"""Policies under which waiting prompts leave the queue for the new one, and the reason that is told."""


_NOTHING: Final[Mapping[str, JsonObject]] = {}


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a prompt waits, and the policy that said so (None: the room was free)."""

    queued: bool
    applied: str | None


def require_served(policy: str | None, *, param: str = "on_busy") -> None:
    """Raise `Refusal` (`not_supported`) for an `on_busy` policy of a later version."""
    if policy is not None and policy not in SERVED:
        raise Refusal("not_supported", f"on_busy {policy} is not served yet", param=param)


def admit(batch: Batch, wanted: str | None, member: Member) -> Turn:
    """Decide whether a new prompt starts at once or waits.

    Args:
        batch: Where it is being decided.
        wanted: The asker's `on_busy`; None leaves it to the room.
        member: The asker.

    Raises:
        Refusal: `room_busy`, `queue_full`, `draining`, or `not_supported` for a policy of a later version.
    """
    state = batch.state
    policy = wanted or _policy_of_room(batch)
    require_served(policy)
    if batch.draining:
        raise Refusal("draining", "the server is about to stop; come back in a moment")
    if not state.unfinished:
        return Turn(queued=False, applied=None)
    if policy == "reject":
        raise Refusal("room_busy", "a response is already running in this room")
    leaving = _leaving(batch, policy, member)
    staying = len(state.queue) - len(leaving)
    if policy == "merge":  # what is merged is still to be answered
        staying += sum(len(state.responses[known].questions) for known in leaving)
    if staying >= batch.rulebook.limits.queue_length:
        raise Refusal("queue_full", f"{staying} prompts are waiting already")
    return Turn(queued=True, applied=policy)


def line_up(batch: Batch, response_id: str, member: Member, turn: Turn) -> None:
    """Give a response that was just created its place in line, with all that its policy asks for."""
    state = batch.state
    line = [waiting for waiting in state.queue if waiting != response_id]
    leaving = [earlier for earlier in _leaving(batch, turn.applied, member) if earlier != response_id]
    if turn.applied == "interrupt":
        place = 0
        cancel_running(batch, member, "interrupt")
    elif leaving:
        place = line.index(leaving[0])
    else:
        place = _fair_place(state, line, state.responses[response_id])
    for earlier in leaving:
        reason = _ABSORBS[turn.applied or ""]
        batch.emit(endings.absorbed(state.responses[earlier], response_id, reason, member, batch.now_ms))
    others = [waiting for waiting in line if waiting not in leaving]
    order = [*others[:place], response_id, *others[place:]]
    quiet_ms = round(batch.rulebook.debounce_s * 1000) if turn.applied == "debounce" else 0
    queue_changed(batch, order, changes={response_id: {"quiet_ms": quiet_ms}})
    start_next(batch)


def _policy_of_room(batch: Batch) -> str:
    policy: str = batch.state.settings.get("on_busy") or batch.rulebook.on_busy
    return policy


def _leaving(batch: Batch, policy: str | None, member: Member) -> list[str]:
    """Waiting responses that a new prompt of `member` takes the place of, next first."""
    state = batch.state
    if policy not in _ABSORBS:
        return []
    if policy == _policy_of_room(batch) or member.role >= Role.MODERATOR:
        return list(state.queue)
    return [waiting for waiting in state.queue if state.responses[waiting].by.get("id") == member.id]


def cancel_running(batch: Batch, member: Member, reason: str) -> None:
    """Stop what runs, as a cancel would; nothing that is stopped already is stopped again."""
    state = batch.state
    for running in list(state.running):
        if state.responses[running].status is Status.IN_PROGRESS:
            why: JsonObject = {"by": member.by(), "reason": reason, "discard": False}
            batch.emit({"type": "response.cancelling", "response_id": running, **why})


def _fair_place(state: RoomState, line: Sequence[str], newcomer: Response) -> int:
    """How many of `line` stay ahead of a newcomer: it passes, from the end, those who had more turns than it."""
    turns: Counter[str] = Counter()
    for running in state.running:
        if state.responses[running].status is Status.IN_PROGRESS:
            turns[_asker(state.responses[running])] += 1
    ahead: list[int] = []
    for waiting in line:
        asker = _asker(state.responses[waiting])
        ahead.append(turns[asker])
        turns[asker] += 1
    place = len(line)
    while place and ahead[place - 1] > turns[_asker(newcomer)]:
        place -= 1
    return place


def _asker(response: Response) -> str:
    return str(response.by.get("id"))


def queue_changed(
    batch: Batch, order: Sequence[str] | None = None, *, changes: Mapping[str, JsonObject] = _NOTHING
) -> None:
    """Tell everybody what waits now.

    Args:
        order: The line from here on; None leaves it as it is.
        changes: Fields of entries that change with it, by response id.
    """
    state = batch.state
    line = state.queue if order is None else order
    entries = [_entry(state.responses[waiting], changes.get(waiting, {})) for waiting in line]
    batch.emit({"type": "queue.updated", "queue": entries})


def queue_entries(state: RoomState) -> list[JsonObject]:
    """The waiting prompts, next first: `{response_id, item_id, by, at, profile, quiet_ms?}`."""
    return [_entry(state.responses[waiting], {}) for waiting in state.queue]


def _entry(response: Response, changes: JsonObject) -> JsonObject:
    entry: JsonObject = {
        "response_id": response.id,
        "item_id": response.prompt_id,
        "by": response.by,
        "at": response.created_at,
        "profile": response.profile,
        "quiet_ms": response.quiet_ms,
        **changes,
    }
    if not entry["quiet_ms"]:
        del entry["quiet_ms"]
    return entry


def start(batch: Batch, response: Response) -> None:
    """Say that a response runs from here on; committed before anybody opens the upstream."""
    shown: JsonObject = {**response.base, "status": Status.IN_PROGRESS.value, "output": []}
    batch.emit({"type": "response.in_progress", "response_id": response.id, "response": shown})


def start_next(batch: Batch) -> None:
    """Start what waits first, if nothing runs and it may start. Whatever waits for quiet is waited for in line."""
    state = batch.state
    if state.queue and not state.running and not batch.draining and not state.responses[state.queue[0]].quiet_ms:
        start(batch, state.responses[state.queue[0]])
        queue_changed(batch)
