"""The rules: what follows from an intent in the room as it stands.

    decide(batch, intent) ──► events on the batch's tentative state, an answer, or a Refusal

Invariants
    R1  A refusal has no effect: it is raised before the first event of its intent.
    R2  Every response gets exactly one terminal, and no output behind a cancel.
    R3  What ends a response also starts the next in the queue, in the same batch.
    R4  Nothing here waits, reads a clock, rolls dice or makes an id.

Not here: the batch (batch.py); the room itself (rooms.py); what an upstream did (outcomes.py);
waiting in line (queueing.py, waiting.py); what is due by time (deadlines.py); what a terminal looks
like (endings.py); who may do what (session.py); storing what was decided (room/committer.py).
"""

from __future__ import annotations

from typing import Final, assert_never

import msgspec

from roomcast.core import commands, deadlines, endings, outcomes
from roomcast.core.batch import Batch, Rulebook
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject, encode
from roomcast.core.intents import Commanded, Due, Ended, Intent, Opened, Produced, Recovered
from roomcast.core.messages import add_message, content_of
from roomcast.core.profile import Profile
from roomcast.core.queueing import Turn, admit, line_up, queue_changed, require_served, start, start_next
from roomcast.core.response_state import Input, Status, step
from roomcast.core.room_state import RoomState
from roomcast.core.rooms import delete_room, open_room, require_room, update_room
from roomcast.core.session import Member
from roomcast.core.waiting import require_own, update_queue

__all__ = ["Batch", "Rulebook", "decide"]

METADATA_BYTES: Final = 10 * 1024
"""Most bytes of a response's `metadata`: it is shown wherever the response is. OpenAI's own bounds fit in."""


def decide(batch: Batch, intent: Intent) -> JsonObject | None:
    """Carry out one intent in `batch`.

    Returns:
        The `result` of a command; None for everything else.

    Raises:
        Refusal: A command that does not hold in this state; nothing was emitted.
    """
    match intent:
        case Opened(member):
            open_room(batch, member)
        case Commanded():
            return _command(batch, intent)
        case Produced():
            outcomes.produce(batch, intent)
        case Ended():
            outcomes.end(batch, intent)
        case Recovered():
            outcomes.recover(batch, intent)
        case Due(name):
            deadlines.due(batch, name)
        case _:
            assert_never(intent)
    return None


# ---- commands --------------------------------------------------------------------------------


def _command(batch: Batch, intent: Commanded) -> JsonObject:
    match intent.command:
        case commands.RoomUpdate() as command:
            return update_room(batch, intent.member, command)
        case commands.RoomDelete():
            return delete_room(batch, intent.member)
        case commands.MessageCreate() as command:
            return _create_message(batch, intent, command)
        case commands.ResponseCreate() as command:
            return _create_response(batch, intent, command)
        case commands.ResponseCancel() as command:
            return _cancel(batch, intent.member, command)
        case commands.QueueUpdate() as command:
            return update_queue(batch, intent, command)
        case other:
            raise Refusal("not_supported", f"{other.type} is not served yet", param="type")


def _create_message(batch: Batch, intent: Commanded, command: commands.MessageCreate) -> JsonObject:
    require_served(command.on_busy)
    require_room(batch)
    content = content_of(command.content, "content")
    parent_id = _parent(batch.state, command.parent_id)
    profile = _profile(batch.rulebook, command.profile)
    turn = admit(batch, command.on_busy, intent.member) if _wants_answer(batch, command.respond) else None
    open_room(batch, intent.member)
    item = add_message(batch, intent, content, parent_id or batch.state.head_item_id)
    result: JsonObject = {"item_id": intent.item_id, "seq": item["seq"]}
    if turn is not None:
        result |= _add_response(batch, intent, intent.item_id, profile, {}, turn)
    return result


def _wants_answer(batch: Batch, respond: str) -> bool:
    if respond == "auto":
        respond = batch.state.settings.get("respond") or batch.rulebook.respond
    return respond != "never"


def _create_response(batch: Batch, intent: Commanded, command: commands.ResponseCreate) -> JsonObject:
    require_served(command.on_busy)
    require_room(batch)
    profile = _profile(batch.rulebook, command.profile)
    request = _request(batch.rulebook, profile, command)
    parent_id = _parent(batch.state, command.parent_id)
    content = None if command.input is None else content_of(command.input, "input")
    prompt_id = parent_id or batch.state.head_item_id
    if content is None and prompt_id is None:
        raise Refusal("missing_field", "there is nothing to respond to yet: give an input", param="input")
    turn = admit(batch, command.on_busy, intent.member)
    open_room(batch, intent.member)
    if content is None:
        return _add_response(batch, intent, prompt_id, profile, request, turn)
    add_message(batch, intent, content, prompt_id)
    return {"item_id": intent.item_id} | _add_response(batch, intent, intent.item_id, profile, request, turn)


def _cancel(batch: Batch, member: Member, command: commands.ResponseCancel) -> JsonObject:
    state = batch.state
    if not state.exists:
        raise Refusal("room_not_found", "there is no such room", param="room")
    if command.discard:
        raise Refusal("not_supported", "discarding output is not served yet", param="discard")
    response_id = command.response_id or next(iter(state.running), None)
    if response_id is None:
        raise Refusal("no_running_response", "no response is running in this room")
    response = state.responses.get(response_id)
    if response is None:
        raise Refusal("response_not_found", "there is no such response in this room", param="response_id")
    following = step(response.status, Input.CANCEL)
    if following is None or following is response.status:
        return {"response_id": response.id, "status": response.status.value}
    if following is Status.CANCELLED:
        require_own(response, member)
        batch.emit(endings.withdrawn(response, member, command.reason, batch.now_ms))
        queue_changed(batch)
        start_next(batch)
    else:
        why: JsonObject = {"by": member.by(), "reason": command.reason, "discard": False}
        batch.emit({"type": "response.cancelling", "response_id": response.id, **why})
    return {"response_id": response.id, "status": following.value}


def _parent(state: RoomState, parent_id: str | None) -> str | None:
    if parent_id is not None and not state.knows(parent_id):
        raise Refusal("item_not_found", "there is no such item in this room", param="parent_id")
    return parent_id


def _profile(rulebook: Rulebook, name: str | None) -> Profile:
    profile = rulebook.profiles.get(name or "default")
    if profile is None:
        raise Refusal("invalid_value", "there is no such profile", param="profile")
    return profile


def _request(rulebook: Rulebook, profile: Profile, command: commands.ResponseCreate) -> JsonObject:
    """OpenAI's fields that go to the model, if the profile allows them all."""
    for name in ("tools", "tool_choice"):
        if getattr(command, name) is not msgspec.UNSET:
            raise Refusal("not_supported", "tools are not served yet", param=name)
    request = profile.admit(command.fields(), default_model=rulebook.model)
    if len(encode(request.get("metadata"))) > METADATA_BYTES:
        raise Refusal("too_large", f"metadata has more than {METADATA_BYTES} bytes", param="metadata")
    return request


def _add_response(
    batch: Batch, intent: Commanded, prompt_id: str | None, profile: Profile, request: JsonObject, turn: Turn
) -> JsonObject:
    """Create a response to `prompt_id`, and start it unless it must wait. Returns its part of the result."""
    status = Status.QUEUED if turn.queued else Status.IN_PROGRESS
    shown: JsonObject = {
        "id": intent.response_id,
        "object": "response",
        "created_at": batch.now_ms // 1000,
        "status": status.value,
        "model": request.get("model") or profile.model or batch.rulebook.model,
        "output": [],
        "usage": None,
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": request.get("metadata", {}),
        "item_id": prompt_id,
        "profile": profile.name,
        "by": intent.member.by(),
    }
    if batch.rulebook.simulated:
        shown["simulated"] = True
    event: JsonObject = {"type": "response.created", "response_id": intent.response_id, "by": intent.member.by()}
    if request:
        event["request"] = request
    batch.emit({**event, "response": shown})
    result: JsonObject = {"response_id": intent.response_id, "status": status.value}
    if not turn.queued:
        start(batch, batch.state.responses[intent.response_id])
        return result
    line_up(batch, intent.response_id, intent.member, turn)
    result |= {"status": batch.state.responses[intent.response_id].status.value, "on_busy": turn.applied}
    if intent.response_id in batch.state.queue:
        result["position"] = batch.state.queue.index(intent.response_id) + 1
    return result
