"""The rules: what follows from an intent in the room as it stands.

    Batch(state) ── decide(intent) ──► events on a tentative state, an answer, or a Refusal

Invariants
    R1  A refusal has no effect: it is raised before the first event of its intent.
    R2  Every response gets exactly one terminal, and no output behind a cancel.
    R3  What ends a response also starts the next in the queue, in the same batch.
    R4  Nothing here waits, reads a clock, rolls dice or makes an id.

Not here: what a terminal looks like (endings.py); numbering and storing (room/committer.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from roomcast.core import commands, endings
from roomcast.core.coalesce import merge_drafts
from roomcast.core.commands import InputMessage, InputText
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.intents import Commanded, CutShort, Ended, Intent, Opened, Produced, Recovered
from roomcast.core.limits import Limits
from roomcast.core.profile import Profile
from roomcast.core.queueing import admit, queue_changed, start_next
from roomcast.core.response_state import Input, Status, step
from roomcast.core.room_state import Response, RoomState
from roomcast.core.session import Member, Role

__all__ = ["Batch", "Rulebook", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What the rules need to know of the configuration.

    Attributes:
        model: Model name of profiles that name none.
        simulated: Whether the demo model answers; said on every response.
        create: Whether a room comes into being by being named.
    """

    limits: Limits = field(default_factory=Limits)
    profiles: Mapping[str, Profile] = field(default_factory=dict[str, Profile])
    model: str = ""
    simulated: bool = False
    on_busy: str = "enqueue"
    respond: str = "always"
    create: bool = True


class Batch:
    """The next append of one room while it is being decided: a tentative state and its events.

    Args:
        state: The committed state; it is not changed.
        now_ms: Unix time for the events' `at`.
        draining: Whether nothing new may start.
    """

    def __init__(self, state: RoomState, rulebook: Rulebook, now_ms: int, *, draining: bool = False) -> None:
        self.base_seq = state.seq
        self.state = state.fork()
        self.rulebook = rulebook
        self.now_ms = now_ms
        self.draining = draining
        self.events: list[JsonObject] = []

    def emit(self, draft: JsonObject) -> JsonObject:
        """Number a draft, fold it into the tentative state, and keep it. Returns the event."""
        state = self.state
        event: JsonObject = {"room": state.name, "seq": state.seq + 1, "at": self.now_ms, **draft}
        if draft["type"].startswith("response."):
            response = state.responses.get(draft.get("response_id", ""))
            event["sequence_number"] = response.sequence if response else 0
        state.fold(event)
        self.events.append(event)
        return event


def decide(batch: Batch, intent: Intent) -> JsonObject | None:
    """Carry out one intent in `batch`.

    Returns:
        The `result` of a command; None for everything else.

    Raises:
        Refusal: A command that does not hold in this state; nothing was emitted.
    """
    match intent:
        case Opened(member):
            _open(batch, member)
        case Commanded():
            return _command(batch, intent)
        case Produced():
            _produce(batch, intent)
        case Ended():
            _end(batch, intent)
        case Recovered():
            _recover(batch, intent)
    return None


# ---- rooms -----------------------------------------------------------------------------------


def _open(batch: Batch, member: Member) -> None:
    if batch.state.exists:
        return
    if not batch.rulebook.create:
        raise Refusal("room_not_found", "there is no such room", param="room")
    settings = {"on_busy": batch.rulebook.on_busy, "respond": batch.rulebook.respond}
    batch.emit({"type": "room.created", "title": batch.state.name, "settings": settings, "by": member.by()})


# ---- commands --------------------------------------------------------------------------------


def _command(batch: Batch, intent: Commanded) -> JsonObject:
    match intent.command:
        case commands.MessageCreate() as command:
            return _create_message(batch, intent, command)
        case commands.ResponseCreate() as command:
            return _create_response(batch, intent, command)
        case commands.ResponseCancel() as command:
            return _cancel(batch, intent.member, command)
        case other:
            raise Refusal("not_supported", f"{other.type} is not served yet", param="type")


def _create_message(batch: Batch, intent: Commanded, command: commands.MessageCreate) -> JsonObject:
    content = _content(command.content, "content")
    parent_id = _parent(batch.state, command.parent_id)
    profile = _profile(batch.rulebook, command.profile)
    respond = batch.state.settings.get("respond", batch.rulebook.respond)
    wants_answer = command.respond == "always" or (command.respond == "auto" and respond == "always")
    turn = admit(batch, command.on_busy) if wants_answer else None
    _open(batch, intent.member)
    item = _add_message(batch, intent, content, parent_id if parent_id else batch.state.head_item_id)
    result: JsonObject = {"item_id": intent.item_id, "seq": item["seq"]}
    if turn is not None:
        result |= _add_response(batch, intent, intent.item_id, profile, {}, turn.queued)
        if turn.applied:
            result["on_busy"] = turn.applied
    return result


def _create_response(batch: Batch, intent: Commanded, command: commands.ResponseCreate) -> JsonObject:
    profile = _profile(batch.rulebook, command.profile)
    if command.tools or command.tool_choice:
        raise Refusal("not_supported", "tools are not served yet", param="tools")
    request = profile.admit(command.fields())
    parent_id = _parent(batch.state, command.parent_id)
    content = None if command.input is None else _content(command.input, "input")
    prompt_id = parent_id or batch.state.head_item_id
    if content is None and prompt_id is None:
        raise Refusal("missing_field", "there is nothing to respond to yet: give an input", param="input")
    turn = admit(batch, command.on_busy)
    _open(batch, intent.member)
    result: JsonObject = {}
    if content is not None:
        _add_message(batch, intent, content, parent_id or batch.state.head_item_id)
        prompt_id = intent.item_id
        result["item_id"] = prompt_id
    result = _add_response(batch, intent, prompt_id, profile, request, turn.queued) | result
    if turn.applied:
        result["on_busy"] = turn.applied
    return result


def _cancel(batch: Batch, member: Member, command: commands.ResponseCancel) -> JsonObject:
    state = batch.state
    if command.discard:
        raise Refusal("not_supported", "discarding output is not served yet", param="discard")
    if not state.exists:
        raise Refusal("room_not_found", "there is no such room", param="room")
    response_id = command.response_id or next(iter(state.running), None)
    if response_id is None:
        raise Refusal("no_running_response", "no response is running in this room")
    response = state.responses.get(response_id)
    if response is None:
        raise Refusal("response_not_found", "there is no such response in this room", param="response_id")
    following = step(response.status, Input.CANCEL)
    if following is None or following is response.status:
        return {"response_id": response.id, "status": response.status}
    if following is Status.CANCELLED:
        if response.by.get("id") != member.id and member.role < Role.MODERATOR:
            raise Refusal("forbidden", "a waiting prompt is withdrawn by its author or a moderator")
        batch.emit(endings.withdrawn(response, member, command.reason, batch.now_ms))
        queue_changed(batch)
    else:
        batch.emit(
            {
                "type": "response.cancelling",
                "response_id": response.id,
                "by": member.by(),
                "reason": command.reason,
                "discard": False,
            }
        )
    return {"response_id": response.id, "status": following}


def _content(given: str | Sequence[commands.Input], field_name: str) -> list[JsonObject]:
    """Parts of a message from what a client wrote."""
    if isinstance(given, str):
        parts = [InputText(given)]
    else:
        parts = []
        for position, part in enumerate(given):
            match part:
                case InputText():
                    parts.append(part)
                case InputMessage(content=content) if len(given) == 1:
                    return _content(content, f"{field_name}[0].content")
                case InputMessage():
                    raise Refusal("invalid_value", "give one message at a time", param=field_name)
                case _:
                    raise Refusal("not_supported", "only text is served yet", param=f"{field_name}[{position}].type")
    if not any(part.text.strip() for part in parts):
        raise Refusal("invalid_value", "there is no text in it", param=field_name)
    return [{"type": "input_text", "text": part.text} for part in parts]


def _parent(state: RoomState, parent_id: str | None) -> str | None:
    if parent_id is not None and not state.knows(parent_id):
        raise Refusal("item_not_found", "there is no such item in this room", param="parent_id")
    return parent_id


def _profile(rulebook: Rulebook, name: str | None) -> Profile:
    profile = rulebook.profiles.get(name or "default")
    if profile is None:
        raise Refusal("invalid_value", "there is no such profile", param="profile")
    return profile


def _add_message(batch: Batch, intent: Commanded, content: list[JsonObject], parent_id: str | None) -> JsonObject:
    item: JsonObject = {
        "id": intent.item_id,
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": content,
        "parent_id": parent_id,
        "by": intent.member.by(),
        "at": batch.now_ms,
        "seq": batch.state.seq + 1,
    }
    return batch.emit({"type": "item.created", "by": intent.member.by(), "item": item})


def _add_response(
    batch: Batch, intent: Commanded, prompt_id: str | None, profile: Profile, request: JsonObject, queued: bool
) -> JsonObject:
    """Create a response to `prompt_id`, and start it unless it must wait. Returns its part of the result."""
    status: Literal["queued", "in_progress"] = "queued" if queued else "in_progress"
    shown: JsonObject = {
        "id": intent.response_id,
        "object": "response",
        "created_at": batch.now_ms // 1000,
        "status": status,
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
    result: JsonObject = {"response_id": intent.response_id, "status": status}
    if queued:
        queue_changed(batch)
        result["position"] = len(batch.state.queue)
    else:
        start(batch, batch.state.responses[intent.response_id])
    return result


def start(batch: Batch, response: Response) -> None:
    """Say that a response runs from here on; committed before anybody opens the upstream."""
    shown = {**response.base, "status": Status.IN_PROGRESS, "output": []}
    batch.emit({"type": "response.in_progress", "response_id": response.id, "response": shown})


# ---- what happened outside -------------------------------------------------------------------


def _produce(batch: Batch, intent: Produced) -> None:
    """Append output, as long as the response may still produce any and its room has space."""
    limits = batch.rulebook.limits
    for draft in merge_drafts(intent.drafts, limit_bytes=limits.upstream_event_bytes):
        response = batch.state.responses.get(intent.response_id)
        if response is None or step(response.status, Input.OUTPUT) is None:
            return
        if batch.state.running_bytes + response.output.cost(draft) > limits.running_bytes:
            _finish(batch, response, Ended(intent.response_id, CutShort("output_limit")))
            return
        batch.emit({**_placed(batch.state, response, draft), "response_id": response.id})


def _placed(state: RoomState, response: Response, draft: JsonObject) -> JsonObject:
    """Give a new output item its place in the tree: below the newest item of its branch."""
    item = draft.get("item")
    if draft["type"] not in {"response.output_item.added", "response.output_item.done"} or not isinstance(item, dict):
        return draft
    known = response.placed.get(item.get("id", ""))
    parent_id = known[0] if known else state.tip_below(response.prompt_id) if response.prompt_id else None
    return {**draft, "item": {**item, "parent_id": parent_id}}


def _end(batch: Batch, intent: Ended) -> None:
    response = batch.state.responses.get(intent.response_id)
    if response is not None and not response.ended:
        _finish(batch, response, intent)


def _finish(batch: Batch, response: Response, ended: Ended) -> None:
    terminal = endings.terminal(response, ended, batch.now_ms)
    if terminal is not None:
        batch.emit(terminal)
        start_next(batch, start)


def _recover(batch: Batch, intent: Recovered) -> None:
    state = batch.state
    for response_id in list(state.running):
        if intent.response_ids is None or response_id in intent.response_ids:
            batch.emit(endings.abandoned(state.responses[response_id], intent.cause, batch.now_ms))
    if intent.start_next:
        start_next(batch, start)
