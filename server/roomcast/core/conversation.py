"""What the model is told: the part of the conversation that leads to one prompt.

People speak while an answer is being written, so the order in which things appeared is not
the order in which they make sense. The rule:

    every item on the prompt's branch up to its tip, oldest first,
    each question moved to right before its answer,
    what was said between a question and its answer moved behind the answer,
    without prompts that still wait for their own answer or were said differently,
    and the prompt itself last, right behind the prompts that were merged into it.

So a queued question is answered with the answers before it in sight, and never sees the
questions behind it.

Not here: shortening what is too long (a later issue); what an API's request looks like (upstream/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roomcast.core.events import JsonObject, as_array, as_object
from roomcast.core.ports import UpstreamRequest
from roomcast.core.profile import Profile
from roomcast.core.room_state import Item, Response, RoomState

__all__ = ["model_input", "request_for"]


def request_for(state: RoomState, response: Response, profiles: Mapping[str, Profile]) -> UpstreamRequest:
    """What the model is asked for a response of the room as it stands."""
    profile = profiles.get(response.profile) or profiles.get("default") or Profile(name="default")
    parameters: JsonObject = {**profile.parameters, **response.request}
    parameters.pop("model", None)
    instructions = parameters.pop("instructions", None) or profile.instructions
    return UpstreamRequest(
        response_id=response.id,
        model=response.base["model"],
        input=model_input(state, response.prompt_id, response.merged),
        instructions=instructions,
        parameters=parameters,
    )


def model_input(state: RoomState, prompt_id: str | None, merged: Sequence[str] = ()) -> list[JsonObject]:
    """Input items for the model, in the words of the Responses API.

    Args:
        state: The room when the response starts.
        prompt_id: The item to answer.
        merged: Items of prompts that are answered with it.
    """
    if prompt_id is None:
        return []
    asked = [*_said_by_people(state, merged), *([prompt_id] if prompt_id in state.items else [])]
    waiting = [question for queued in state.queue for question in state.responses[queued].questions]
    left_out = {*_said_by_people(state, waiting), *asked}
    branch = [state.items[known] for known in state.chain(state.tip_below(prompt_id)) if known in state.items]
    left_out.update(item.replaces for item in branch if item.replaces)
    told = [item for item in reversed(branch) if item.id not in left_out]
    ordered = [*_in_order_of_sense(state, told), *(state.items[question] for question in asked)]
    return [said for item in ordered if (said := _as_input(item)) is not None]


def _said_by_people(state: RoomState, item_ids: Iterable[str]) -> list[str]:
    """Those that are messages of people, oldest first: an answer that somebody asked about stays where it is."""
    known = [state.items[item_id] for item_id in item_ids if item_id in state.items]
    return [item.id for item in sorted(known, key=lambda item: item.seq) if item.response_id is None]


def _in_order_of_sense(state: RoomState, branch: list[Item]) -> list[Item]:
    """The items of a branch, with answers right behind their questions."""
    messages = {item.id: item for item in branch if item.response_id is None}
    questions = {item.id: _questions_of(state, item, messages) for item in branch}
    answered = frozenset(question for asked in questions.values() for question in asked)
    unanswered = set(answered)
    ordered: list[Item] = []
    asides: list[tuple[Item, set[str]]] = []
    met: set[str] = set()
    answering: str | None = None
    for item in branch:
        if item.response_id != answering:
            answering = item.response_id
            ordered += [aside for aside, behind in asides if not behind & unanswered]
            asides = [(aside, behind) for aside, behind in asides if behind & unanswered]
        if item.response_id is not None:
            ordered += [messages[question] for question in questions[item.id] if question in unanswered]
            unanswered.difference_update(questions[item.id])
            ordered.append(item)
        elif item.id in unanswered:
            met.add(item.id)
        elif behind := met & unanswered:
            asides.append((item, behind))
        elif item.id not in answered:
            ordered.append(item)
    return [*ordered, *(aside for aside, _ in asides)]


def _questions_of(state: RoomState, item: Item, messages: Iterable[str]) -> list[str]:
    """The messages that the response of an output item answers, as far as they are on the branch."""
    response = state.responses.get(item.response_id) if item.response_id else None
    return [question for question in response.questions if question in messages] if response else []


def _as_input(item: Item) -> JsonObject | None:
    """The item as the model gets it: without who, when and where; None when it says nothing."""
    body = item.body()
    role = body.get("role", "user")
    if body.get("type") != "message" or not isinstance(role, str):
        return None
    parts = [said for part in as_array(body.get("content")) or () if (said := _part(as_object(part), role)) is not None]
    return {"type": "message", "role": role, "content": parts} if parts else None


def _part(part: JsonObject | None, role: str) -> JsonObject | None:
    """What a part says; whatever JSON a model once answered with, only text goes back to one."""
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text)} if text:
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case {"type": "refusal", "refusal": str(refusal)} if refusal:
            return {"type": "refusal", "refusal": refusal}
        case _:
            return None
