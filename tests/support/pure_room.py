"""A room driven by hand: intents in, events out, no loop, no store.

Every call is a batch of its own that is committed at once, through its encoded records and
back, so that a test sees what a reader of the log would see.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roomcast.core.batch import Batch, Rulebook
from roomcast.core.commands import MessageCreate, ResponseCancel, ResponseCreate, RoomCommand
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject, decode_event, encode_events
from roomcast.core.intents import Commanded, Ended, Ending, Intent, Produced
from roomcast.core.ports import Finish
from roomcast.core.profile import Profile
from roomcast.core.room_state import Response, RoomState
from roomcast.core.rules import decide
from roomcast.core.session import Member, Role

__all__ = ["ANN", "BOB", "COMPLETED", "RULEBOOK", "PureRoom", "delta", "item_added", "item_done"]

ANN = Member("ann", "Ann", Role.SPEAKER)
BOB = Member("bob", "Bob", Role.SPEAKER)
COMPLETED = Finish("completed")
RULEBOOK = Rulebook(profiles={"default": Profile(name="default")}, model="gpt-test")


class PureRoom:
    """One room and its whole log.

    Attributes:
        log: Every event so far, as a reader decodes it.
        now_ms: The wall clock, to set.
        draining: Whether the process is about to stop.
    """

    def __init__(self, rulebook: Rulebook = RULEBOOK, **limits: Any) -> None:
        self.rulebook = replace(rulebook, limits=replace(rulebook.limits, **limits)) if limits else rulebook
        self.state = RoomState("lobby", keep_items=self.rulebook.limits.state_items)
        self.log: list[JsonObject] = []
        self.now_ms = 1_000
        self.draining = False
        self._ids = 0

    # -- asking ---------------------------------------------------------------------------------

    def decide(self, *intents: Intent) -> list[JsonObject]:
        """Decide and commit one batch; return its events. A `Refusal` is raised, and nothing is committed."""
        batch = Batch(self.state, self.rulebook, self.now_ms, draining=self.draining)
        for intent in intents:
            decide(batch, intent)
        return self.commit(batch)

    def commit(self, batch: Batch) -> list[JsonObject]:
        """Take a batch's events into the log and its state as the room's; return the events."""
        events = [decode_event(record) for record in encode_events(batch.events)]
        self.state = batch.state
        self.log += events
        return events

    def command(self, command: RoomCommand, by: Member = ANN) -> JsonObject:
        """Carry out a command and return its result."""
        batch = Batch(self.state, self.rulebook, self.now_ms, draining=self.draining)
        result = decide(batch, self.commanded(command, by))
        self.commit(batch)
        assert result is not None
        return result

    def commanded(self, command: RoomCommand, by: Member = ANN) -> Commanded:
        """The intent of a command, with fresh ids."""
        self._ids += 1
        return Commanded(command, by, f"msg_{self._ids}", f"resp_{self._ids}")

    def say(self, text: str, *, by: Member = ANN, **fields: Any) -> JsonObject:
        """Send `message.create`."""
        return self.command(MessageCreate(id="c", room="lobby", content=text, **fields), by)

    def ask(self, *, by: Member = ANN, **fields: Any) -> JsonObject:
        """Send `response.create`."""
        return self.command(ResponseCreate(id="c", room="lobby", **fields), by)

    def cancel(self, response_id: str | None = None, *, by: Member = ANN, **fields: Any) -> JsonObject:
        """Send `response.cancel`."""
        return self.command(ResponseCancel(id="c", room="lobby", response_id=response_id, **fields), by)

    def refusal(self, command: RoomCommand, by: Member = ANN) -> Refusal:
        """Send a command that is refused; return why. It must have left its batch as it was."""
        batch = Batch(self.state, self.rulebook, self.now_ms, draining=self.draining)
        try:
            decide(batch, self.commanded(command, by))
        except Refusal as refusal:
            assert batch.events == []
            return refusal
        raise AssertionError("the command was carried out")

    # -- what the model does --------------------------------------------------------------------

    def produce(self, response_id: str, *drafts: JsonObject) -> list[JsonObject]:
        """Output arrives; return what was appended."""
        return self.decide(Produced(response_id, list(drafts), 0))

    def answer(self, response_id: str, *texts: str, item: str | None = None) -> list[JsonObject]:
        """One message of output begins and says `texts`; it stays open."""
        item_id = item or f"out_{response_id}"
        return self.produce(response_id, item_added(item_id), *(delta(text, item_id) for text in texts))

    def end(self, response_id: str, ending: Ending = COMPLETED, **measured: Any) -> list[JsonObject]:
        """The generation is over; return what was appended."""
        return self.decide(Ended(response_id, ending, **measured))

    def answered(self, text: str, reply: str, **fields: Any) -> str:
        """A whole turn: a message, its answer, its end. Returns the response's id."""
        response_id: str = self.say(text, **fields)["response_id"]
        self.answer(response_id, reply)
        self.end(response_id)
        return response_id

    # -- looking --------------------------------------------------------------------------------

    def types(self) -> list[str]:
        """The types in the log, in order."""
        return [event["type"] for event in self.log]

    def response(self, response_id: str) -> Response:
        """A response as the room knows it."""
        return self.state.responses[response_id]

    def refolded(self) -> RoomState:
        """The state that the log alone gives."""
        state = RoomState("lobby", keep_items=self.state.keep_items)
        for event in self.log:
            state.fold(event)
        return state


def item_added(item_id: str, index: int = 0, **fields: Any) -> JsonObject:
    """A draft: a message of the model begins."""
    item: JsonObject = {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
        **fields,
    }
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def item_done(item_id: str, text: str, index: int = 0) -> JsonObject:
    """A draft: a message of the model is complete."""
    content: list[JsonObject] = [{"type": "output_text", "text": text, "annotations": []}]
    item: JsonObject = {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(text: str, item_id: str, index: int = 0, content_index: int = 0, **fields: Any) -> JsonObject:
    """A draft: a piece of text."""
    return {
        "type": "response.output_text.delta",
        "item_id": item_id,
        "output_index": index,
        "content_index": content_index,
        "delta": text,
        **fields,
    }
