"""What happened outside, as events: what a generation produced, how it ended, who stopped running it.

Invariants
    U1  Whatever an upstream sends, the log stays ours: output forges neither an event that
        means something to a room nor a field of the envelope.
    U2  What output adds to the text of the log is what it adds to the state, so that every
        viewer has the text that the terminal's digest is over.

Not here: what a terminal looks like (endings.py); merging deltas (coalesce.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from roomcast.core import endings
from roomcast.core.batch import Batch
from roomcast.core.coalesce import merge_drafts
from roomcast.core.conversation import request_for
from roomcast.core.events import TERMINAL_TYPES, JsonObject, as_object, encode
from roomcast.core.intents import Ended, Produced, Recovered
from roomcast.core.queueing import start_next
from roomcast.core.response_state import Input, step
from roomcast.core.room_state import Response, RoomState
from roomcast.core.usage import estimated

__all__ = ["end", "give_up", "produce", "recover"]

_OURS: Final = ("room.", "item.", "branch.", "queue.", "tool.", "session.", "subscriber.", "presence.", "server.")
"""Beginnings of types that mean something to a room or a viewer."""

_LIFE: Final = TERMINAL_TYPES | {
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.cancelling",
    "response.attempt_superseded",
    "reply",
    "error",
}
"""Types that say where a response stands, which only the rules do."""

_ENVELOPE: Final = frozenset({"room", "seq", "seq_from", "at", "by", "response_id", "sequence_number"})
"""Fields that only the rules put on an event."""


def produce(batch: Batch, intent: Produced) -> None:
    """Append output, as long as the response may still produce any and its room has space.

    A delta that would pass `running_bytes` is cut there, anything else is dropped, and the
    response ends.
    """
    limits = batch.rulebook.limits
    for draft in merge_drafts(_sound(intent.drafts), limit_bytes=limits.upstream_event_bytes):
        response = batch.state.responses.get(intent.response_id)
        if response is None or step(response.status, Input.OUTPUT) is None:
            return
        piece = _placed(batch.state, response, draft)
        cost = response.output.cost(piece)
        if cost is None:
            continue
        space = limits.running_bytes - batch.state.running_bytes
        if cost > space or len(encode(piece)) > limits.running_bytes:
            _produce_the_last(batch, response, piece, space)
            return
        batch.emit({**piece, "response_id": response.id})


def _produce_the_last(batch: Batch, response: Response, draft: JsonObject, space: int) -> None:
    """Append what still fits of a piece that does not, end the response there, and start the next."""
    text, cost = draft.get("delta"), response.output.cost(draft)
    if cost and isinstance(text, str):
        around = cost - len(encode(text))
        beginning = _beginning(text, min(space, batch.rulebook.limits.upstream_event_bytes) - around)
        if beginning:
            kept = {name: value for name, value in draft.items() if name != "logprobs"}
            batch.emit({**kept, "delta": beginning, "response_id": response.id})
    full = batch.state.responses[response.id]
    batch.emit(endings.cut_short(full, "output_limit", _spent(batch, full), batch.now_ms))
    start_next(batch)


def _beginning(text: str, size_bytes: int) -> str:
    """The longest beginning of `text` that takes at most `size_bytes` as a JSON string."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(encode(text[:middle])) <= size_bytes else (low, middle - 1)
    return text[:low]


def _sound(drafts: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """What may stand in a log: no event of ours, no field of ours, and only what is JSON."""
    for draft in drafts:
        if draft["type"] in _LIFE or draft["type"].startswith(_OURS):
            continue
        try:
            encode(draft)
        except TypeError:  # half of a surrogate pair, or a number beyond 64 bits
            continue
        if _ENVELOPE.isdisjoint(draft):
            yield draft
        else:
            yield {name: value for name, value in draft.items() if name not in _ENVELOPE}


def _placed(state: RoomState, response: Response, draft: JsonObject) -> JsonObject:
    """Give a new output item its place in the tree: below the newest item of its branch."""
    item = as_object(draft.get("item"))
    if item is None or draft["type"] not in {"response.output_item.added", "response.output_item.done"}:
        return draft
    above = response.newest_item_id
    known = response.placed.get(str(item.get("id")))
    parent_id = known[0] if known else above and state.tip_below(above)
    return {**draft, "item": {**item, "parent_id": parent_id}}


def end(batch: Batch, intent: Ended) -> None:
    """Append the terminal of a generation that is over, unless its response has one."""
    response = batch.state.responses.get(intent.response_id)
    terminal = endings.terminal(response, intent, batch.now_ms) if response else None
    if terminal is not None:
        batch.emit(terminal)
        start_next(batch)


def recover(batch: Batch, intent: Recovered) -> None:
    """End what nobody runs any more, and start what waits if that may be."""
    state = batch.state
    for response_id in list(state.running):
        if intent.response_ids is None or response_id in intent.response_ids:
            give_up(batch, response_id, intent.cause)
    if intent.start_next:
        start_next(batch)


def give_up(batch: Batch, response_id: str, cause: str) -> None:
    """End a running response that nobody runs any more: as it was promised if it was cancelled, else interrupted."""
    left = batch.state.responses[response_id]
    batch.emit(endings.abandoned(left, cause, _spent(batch, left), batch.now_ms))


def _spent(batch: Batch, response: Response) -> JsonObject:
    """What a running response has used until now, as far as the room can tell."""
    rulebook = batch.rulebook
    request = request_for(batch.state, response, rulebook.profiles)
    return estimated(rulebook.tokens, request, response.output.text())
