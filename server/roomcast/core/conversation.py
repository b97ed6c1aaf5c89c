"""What the model is told: the part of the conversation that leads to one prompt.

People speak while an answer is being written, so the order in which things appeared is not
the order in which they make sense. The rule:

    every item on the prompt's branch up to its tip, oldest first,
    each question moved to right before its answer,
    without prompts that still wait for their own answer,
    and the prompt itself last.

So a queued question is answered with the answers before it in sight, and never sees the
questions behind it.

Not here: shortening what is too long (a later issue); the shape of the upstream's request.
"""

from __future__ import annotations

from roomcast.core.events import JsonObject, as_array, as_object
from roomcast.core.room_state import Item, RoomState

__all__ = ["model_input"]


def model_input(state: RoomState, prompt_id: str | None) -> list[JsonObject]:
    """Input items for the model, in the words of the Responses API.

    Args:
        state: The room when the response starts.
        prompt_id: The item to answer.
    """
    if prompt_id is None:
        return []
    left_out = {state.responses[queued].prompt_id for queued in state.queue} | {prompt_id}
    branch = [state.items[known] for known in state.chain(state.tip_below(prompt_id)) if known in state.items]
    told = [item for item in reversed(branch) if item.id not in left_out]
    prompt = state.items.get(prompt_id)
    ordered = [*_questions_before_answers(state, told), *([prompt] if prompt else [])]
    return [said for item in ordered if (said := _as_input(item)) is not None]


def _questions_before_answers(state: RoomState, branch: list[Item]) -> list[Item]:
    """The items of a branch, each question moved to right before the first item of its answer."""
    prompts = {_prompt_of(state, item) for item in branch}
    waiting = {item.id: item for item in branch if item.response_id is None and item.id in prompts}
    ordered: list[Item] = []
    for item in branch:
        question = waiting.pop(_prompt_of(state, item) or "", None)
        if question is not None:
            ordered.append(question)
        if item.id not in waiting:
            ordered.append(item)
    return ordered


def _prompt_of(state: RoomState, item: Item) -> str | None:
    """The item that the response of an output item answers."""
    response = state.responses.get(item.response_id) if item.response_id else None
    return response.prompt_id if response else None


def _as_input(item: Item) -> JsonObject | None:
    """The item as the model gets it: without who, when and where; None when it says nothing."""
    body = item.body()
    if body.get("type") != "message":
        return None
    role = body.get("role", "user")
    parts = [said for part in as_array(body.get("content")) or () if (said := _part(as_object(part), role)) is not None]
    return {"type": "message", "role": role, "content": parts} if parts else None


def _part(part: JsonObject | None, role: str) -> JsonObject | None:
    kind = part.get("type") if part else None
    if part and kind in {"input_text", "output_text", "text"} and part.get("text"):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    if part and kind == "refusal" and part.get("refusal"):
        return {"type": "refusal", "refusal": part["refusal"]}
    return None
