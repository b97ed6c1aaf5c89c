"""What the model is told: the part of the conversation that leads to one prompt.

People speak while an answer is being written, so the order in which things appeared is not
the order in which they make sense. The rule:

    every item on the prompt's branch up to its tip, oldest first,
    without prompts that still wait for their own answer,
    and the prompt itself last.

So a queued question is answered with the answers before it in sight, and never sees the
questions behind it.

Not here: shortening what is too long (a later issue); the shape of the upstream's request.
"""

from __future__ import annotations

from roomcast.core.events import JsonObject
from roomcast.core.room_state import Item, RoomState

__all__ = ["model_input"]


def model_input(state: RoomState, prompt_id: str | None) -> list[JsonObject]:
    """Input items for the model, in the words of the Responses API.

    Args:
        state: The room when the response starts.
        prompt_id: The item to answer.
    """
    waiting = {state.responses[queued].prompt_id for queued in state.queue} - {prompt_id}
    if prompt_id is None:
        return []
    chain = [known for known in state.chain(state.tip_below(prompt_id)) if known not in waiting and known != prompt_id]
    ordered = [*reversed(chain), prompt_id]
    return [said for known in ordered if (item := state.items.get(known)) and (said := _as_input(item)) is not None]


def _as_input(item: Item) -> JsonObject | None:
    """The item as the model gets it: without who, when and where; None when it says nothing."""
    body = item.body()
    if body.get("type") != "message" or not isinstance(body.get("content"), list):
        return None
    role = body.get("role", "user")
    parts = [part for part in (_part(part, role) for part in body["content"]) if part is not None]
    return {"type": "message", "role": role, "content": parts} if parts else None


def _part(part: JsonObject, role: str) -> JsonObject | None:
    kind = part.get("type")
    if kind in {"input_text", "output_text", "text"} and part.get("text"):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    if kind == "refusal" and part.get("refusal"):
        return {"type": "refusal", "refusal": part["refusal"]}
    return None
