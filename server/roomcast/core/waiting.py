"""Changes to what waits in line: say it differently, move it, take it out.

    queue.update ──► item.created?  response.cancelled?  queue.updated

What waits is changed by its asker and by moderators. Items never change: a prompt that is
said differently is a new item that `replaces` the old one, and the line names the new one.

Not here: the place of a new prompt and whose turn it is (queueing.py).
"""

from __future__ import annotations

from roomcast.core import endings
from roomcast.core.batch import Batch
from roomcast.core.commands import QueueUpdate
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.intents import Commanded
from roomcast.core.messages import add_message, content_of
from roomcast.core.queueing import queue_changed, queue_entries, start_next
from roomcast.core.response_state import Status
from roomcast.core.room_state import Response, RoomState
from roomcast.core.session import Member, Role

__all__ = ["require_own", "update_queue"]


def update_queue(batch: Batch, intent: Commanded, command: QueueUpdate) -> JsonObject:
    """Carry out `queue.update`; returns its result.

    Raises:
        Refusal: Nothing or too much is asked for, there is no such response, it waits no more
            (`already_decided`), or it is somebody else's business (`forbidden`).
    """
    state = batch.state
    content = None if command.content is None else content_of(command.content, "content")
    if command.remove and (content is not None or command.position is not None):
        raise Refusal("invalid_value", "what is removed can be neither moved nor changed", param="remove")
    if not command.remove and content is None and command.position is None:
        raise Refusal("missing_field", "say what to change: content, position or remove", param="content")
    response = _waiting(state, command.response_id)
    require_own(response, intent.member)
    if command.remove:
        batch.emit(endings.withdrawn(response, intent.member, None, batch.now_ms))
        queue_changed(batch)
    else:
        order = list(state.queue) if command.position is None else _moved(state, response, command, intent.member)
        if content is not None:
            _say_differently(batch, intent, response, content)
        queue_changed(batch, order, changes={} if content is None else {response.id: {"item_id": intent.item_id}})
    start_next(batch)
    return _result(state, response.id)


def require_own(response: Response, member: Member) -> None:
    """Raise `Refusal` (`forbidden`) unless what waits is the member's own, or the member a moderator."""
    if response.by.get("id") != member.id and member.role < Role.MODERATOR:
        raise Refusal("forbidden", "a waiting prompt is its author's and the moderators' business")


def _waiting(state: RoomState, response_id: str) -> Response:
    if not state.exists:
        raise Refusal("room_not_found", "there is no such room", param="room")
    response = state.responses.get(response_id)
    if response is None:
        raise Refusal("response_not_found", "there is no such response in this room", param="response_id")
    if response.status is not Status.QUEUED:
        raise Refusal("already_decided", f"it waits no more: it is {response.status}", param="response_id")
    return response


def _moved(state: RoomState, response: Response, command: QueueUpdate, member: Member) -> list[str]:
    """The line with `response` at the position asked for, or at the end where the line is shorter."""
    assert command.position is not None
    order = [waiting for waiting in state.queue if waiting != response.id]
    order.insert(command.position - 1, response.id)
    others = [waiting for waiting in state.queue if state.responses[waiting].by.get("id") != member.id]
    if member.role < Role.MODERATOR and any(order.index(other) > state.queue.index(other) for other in others):
        raise Refusal("forbidden", "only a moderator moves a prompt ahead of other members'", param="position")
    return order


def _say_differently(batch: Batch, intent: Commanded, response: Response, content: list[JsonObject]) -> None:
    """Add the new words at the end of the branch that goes through the old ones, which they replace if they may."""
    state, old = batch.state, response.prompt_id
    parent_id = state.tip_below(old) if old is not None else state.head_item_id
    replaces = {"replaces": old} if _made_for(state, response) else {}
    add_message(batch, intent, content, parent_id, **replaces)


def _made_for(state: RoomState, response: Response) -> bool:
    """Whether the prompt was said to get this response, and is nothing that anybody else said or asked about."""
    prompt = state.items.get(response.prompt_id or "")
    if prompt is None or prompt.response_id is not None:
        return False
    own = prompt.replaces is not None or prompt.body().get("by", {}).get("id") == response.by.get("id")
    return own and not any(
        prompt.id in other.questions for other in state.responses.values() if other.id != response.id
    )


def _result(state: RoomState, response_id: str) -> JsonObject:
    response = state.responses[response_id]
    result: JsonObject = {
        "response_id": response_id,
        "status": response.status.value,
        "item_id": response.prompt_id,
        "queue": queue_entries(state),
    }
    if response_id in state.queue:
        result["position"] = state.queue.index(response_id) + 1
    return result
