"""What a viewer needs who has seen nothing: the state, in the shape of the wire.

    {room, items, has_more, responses, queue, approvals, head_item_id}

Its cost is the size of the state, not of the history. Items are embedded as they were
encoded. Responses that run or wait carry their `output` so far; ended ones, listed when
their prompt or an item of theirs is, carry how they ended.

Invariant: a snapshot fits a frame. What runs or waits comes first, because it is told
nowhere else; then items, newest first, then endings, as long as there is space.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from roomcast.core.events import JsonObject
from roomcast.core.queueing import queue_entries
from roomcast.core.room_state import Item, Response, RoomState

__all__ = ["newest_items", "response_object", "room_card", "snapshot"]

TOTAL_BYTES: Final = 896 * 1024
"""Bytes of items and responses; the rest of a frame (1 MiB) is for the members and what is around them."""

ENDED_BYTES: Final = 64 * 1024
"""Bytes of responses that have ended, for a viewer that missed none of their endings."""


def snapshot(state: RoomState, *, items: int, items_bytes: int, ended_after: int | None = None) -> JsonObject:
    """The visible state, ready for `events.encode`.

    Args:
        state: The room.
        items: Most items to list; the newest are.
        items_bytes: Bytes that their JSON may have together; the newest is listed even if it alone
            has more, as long as a frame has space for it.
        ended_after: For a viewer that knows the room up to this seq: also list every response that
            ended since, so that no ending is lost with the events that the snapshot replaces.
    """
    shown_open = [orjson.dumps(response_object(known)) for known in state.responses.values() if not known.ended]
    space = TOTAL_BYTES - sum(map(len, shown_open))
    listed = newest_items(state.items.values(), items, min(items_bytes, space), largest_bytes=space)
    space -= sum(len(item.data) for item in listed)
    shown_ended = _endings(state, listed, ended_after, min(ENDED_BYTES, space) if ended_after is None else space)
    return {
        "room": room_card(state),
        "items": [orjson.Fragment(item.data) for item in listed],
        "has_more": state.has_older or len(listed) < len(state.items),
        "responses": [orjson.Fragment(shown) for shown in (*shown_ended, *shown_open)],
        "queue": queue_entries(state),
        "approvals": [],
        "head_item_id": state.head_item_id,
    }


def room_card(state: RoomState) -> JsonObject:
    """The room itself: `{name, title, settings, created_at}`."""
    return {
        "name": state.name,
        "title": state.title,
        "settings": state.settings,
        "created_at": state.created_at,
    }


def response_object(response: Response) -> JsonObject:
    """OpenAI's response object as it stands now."""
    shown: JsonObject = {**response.base, "status": response.status.value}
    if response.ended:
        if response.status == "interrupted":
            shown["status"] = "incomplete"
        return {**shown, **response.ending}
    shown["output"] = response.output.render()
    if response.cancel:
        shown["cancelling"] = {"by": response.cancel.get("by"), "reason": response.cancel.get("reason")}
    return shown


def newest_items(items: Iterable[Item], count: int, size_bytes: int, *, largest_bytes: int | None = None) -> list[Item]:
    """The newest items by `seq`, oldest first, within both bounds.

    Args:
        items: What to choose from.
        count: Most items to give.
        size_bytes: Bytes that they may have together; the newest may pass it alone.
        largest_bytes: What the newest may not pass either; None leaves it unbounded.
    """
    chosen: list[Item] = []
    for item in sorted(items, key=lambda known: known.seq, reverse=True)[:count]:
        size_bytes -= len(item.data)
        if size_bytes < 0 and (chosen or (largest_bytes is not None and len(item.data) > largest_bytes)):
            break
        chosen.append(item)
    chosen.reverse()
    return chosen


def _endings(state: RoomState, listed: Iterable[Item], ended_after: int | None, size_bytes: int) -> list[bytes]:
    """Ended responses that belong to the items listed or ended since, encoded; the newest that fit, oldest first."""
    prompts, answers = {item.id for item in listed}, {item.response_id for item in listed}
    chosen: list[bytes] = []
    for response in reversed(state.responses.values()):
        since = ended_after is not None and response.ended_seq > ended_after
        if not response.ended or not (since or response.prompt_id in prompts or response.id in answers):
            continue
        shown = orjson.dumps(response_object(response))
        size_bytes -= len(shown)
        if size_bytes < 0:
            break
        chosen.append(shown)
    chosen.reverse()
    return chosen
