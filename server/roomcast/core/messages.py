"""What people say, as items: from the ways a client may write it to `item.created`.

Not here: whether it is answered (rules.py); where it waits (queueing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roomcast.core.batch import Batch
from roomcast.core.commands import Input, InputMessage, InputText
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.intents import Commanded

__all__ = ["add_message", "content_of"]


def content_of(given: str | Sequence[Input], field_name: str) -> list[JsonObject]:
    """Parts of a message from what a client wrote in `field_name`. Raises `Refusal`."""
    if isinstance(given, str):
        return content_of([InputText(given)], field_name)
    parts: list[InputText] = []
    for position, part in enumerate(given):
        match part:
            case InputText():
                parts.append(part)
            case InputMessage(content=content) if len(given) == 1:
                return content_of(content, f"{field_name}[0].content")
            case InputMessage():
                raise Refusal("invalid_value", "give one message at a time", param=field_name)
            case _:
                raise Refusal("not_supported", "only text is served yet", param=f"{field_name}[{position}].type")
    if not any(part.text.strip() for part in parts):
        raise Refusal("invalid_value", "there is no text in it", param=field_name)
    return [{"type": "input_text", "text": part.text} for part in parts]


def add_message(
    batch: Batch, intent: Commanded, content: list[JsonObject], parent_id: str | None, **more: Any
) -> JsonObject:
    """Say something in the room, below `parent_id`; returns the item."""
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
        **more,
    }
    batch.emit({"type": "item.created", "by": intent.member.by(), "item": item})
    return item
