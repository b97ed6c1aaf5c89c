"""What a viewer needs who has seen nothing: the state, in the shape of the wire.

    {room, items, has_more, responses, queue, approvals, head_item_id}

Its cost is the size of the state, not of the history. Items are embedded as they were
encoded. Responses that run or wait carry their `output` so far; ended ones, listed when
their prompt or an item of theirs is, carry how they ended.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from roomcast.core.events import JsonObject
from roomcast.core.queueing import queue_entries
from roomcast.core.room_state import Item, Response, RoomState

__all__ = ["response_object", "room_card", "snapshot"]


def snapshot(state: RoomState, *, items: int, items_bytes: int) -> JsonObject:
    """The visible state, ready for `events.encode`.

    Args:
        items: Most items to list; the newest are.
        items_bytes: Bytes that their JSON may have together; the newest item is listed in any case.
    """
    newest = newest_items(state.items.values(), items, items_bytes)
    listed = {item.id for item in newest}
    shown = {item.response_id for item in newest}
    responses = [
        response_object(response)
        for response in state.responses.values()
        if not response.ended or response.prompt_id in listed or response.id in shown
    ]
    return {
        "room": room_card(state),
        "items": [orjson.Fragment(item.data) for item in newest],
        "has_more": state.has_older or len(newest) < len(state.items),
        "responses": responses,
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


def newest_items(items: Iterable[Item], count: int, size_bytes: int) -> list[Item]:
    """The newest items by `seq`, oldest first, within both bounds (but at least one, if `count` is)."""
    chosen: list[Item] = []
    for item in sorted(items, key=lambda known: known.seq, reverse=True)[:count]:
        size_bytes -= len(item.data)
        if size_bytes < 0 and chosen:
            break
        chosen.append(item)
    chosen.reverse()
    return chosen
