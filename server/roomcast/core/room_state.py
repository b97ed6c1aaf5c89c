"""What a room is: its events, folded.

    events ──fold──► RoomState ──► rules decide on it, snapshots show it, checkpoints keep it

Invariants
    S1  The state is a function of the log: `fold` reads nothing but the event.
    S2  A fork can be folded further, or thrown away, without being seen by its origin.
    S3  It is bounded: the newest `keep_items` items, as many ended responses, of those that
        belong to them, and all open business (which rules.py bounds).
    S4  Folding never raises on an event that was once committed.

Not here: one item or one response of it (item.py, response.py); which events follow from an
intent (rules.py); the shape that viewers get (snapshot.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import orjson

from roomcast.core.events import TERMINAL_TYPES, JsonObject, as_object
from roomcast.core.item import Item
from roomcast.core.response import Response
from roomcast.core.response_state import Status

__all__ = ["QUIET", "Item", "Response", "RoomState"]

QUIET: Final = "quiet:"
"""Beginning of the name of a deadline: the id of the response that waits for quiet follows."""


class RoomState:
    """A room at position `seq` of its log.

    Attributes:
        seq: Number of the newest event that is folded; 0 for a room without events.
        items: Complete items by id, in the order they were completed.
        responses: Responses by id, in the order they were created.
        queue: Ids of responses that wait, next first.
        running: Ids of responses in progress or cancelling, oldest first.
        head_item_id: The newest item of the selected branch; what comes next hangs below it.
    """

    def __init__(self, name: str, *, keep_items: int = 500) -> None:
        self.name = name
        self.keep_items = keep_items
        self.seq = 0
        self.title = ""
        self.settings: JsonObject = {}
        self.created_at = 0
        self.items: dict[str, Item] = {}
        self.responses: dict[str, Response] = {}
        self.queue: list[str] = []
        self.running: list[str] = []
        self.head_item_id: str | None = None
        self.has_older = False

    # -- looking --------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether the room was ever created."""
        return self.seq > 0

    @property
    def unfinished(self) -> bool:
        """Whether somebody still waits for something: a response runs or is queued."""
        return bool(self.running or self.queue)

    @property
    def deadlines(self) -> dict[str, int]:
        """What becomes due by time: names, and milliseconds from the event that opened each."""
        waiting = (self.responses[queued] for queued in self.queue)
        return {QUIET + response.id: response.quiet_ms for response in waiting if response.quiet_ms}

    @property
    def running_bytes(self) -> int:
        """Bytes of output that the running responses hold together."""
        return sum(self.responses[running].output.size_bytes for running in self.running)

    def parent_of(self, item_id: str) -> str | None:
        """Parent of an item, complete or still being produced; None at a root or where history was cut."""
        if item := self.items.get(item_id):
            return item.parent_id
        for response_id in self.running:
            if place := self.responses[response_id].placed.get(item_id):
                return place[0]
        return None

    def knows(self, item_id: str) -> bool:
        """Whether this item is in the state, complete or still being produced."""
        return item_id in self.items or any(item_id in self.responses[running].placed for running in self.running)

    def chain(self, item_id: str | None) -> Iterator[str]:
        """Ids from `item_id` up to its root, as far as the state reaches."""
        seen = 0
        while item_id is not None and seen <= 2 * self.keep_items:
            yield item_id
            item_id = self.parent_of(item_id)
            seen += 1

    def tip_below(self, item_id: str) -> str:
        """The end of the branch that goes through `item_id`: the head if that is on it, else the item itself."""
        if self.head_item_id is not None and item_id in self.chain(self.head_item_id):
            return self.head_item_id
        return item_id

    # -- folding --------------------------------------------------------------------------------

    def fork(self) -> RoomState:
        """A copy to fold on tentatively. Costs the containers and the open items, not the text."""
        twin = RoomState.__new__(RoomState)
        twin.__dict__.update(self.__dict__)
        twin.items = dict(self.items)
        twin.responses = dict(self.responses)
        twin.queue = list(self.queue)
        twin.running = list(self.running)
        for running in self.running:
            twin.responses[running] = self.responses[running].fork()
        return twin

    def fold(self, event: JsonObject) -> list[Item]:
        """Apply the next event; `event["seq"]` must be `seq` + 1.

        Returns:
            The items that the event completed, also those that the state has no space to keep.
        """
        assert event["seq"] == self.seq + 1, f"event {event['seq']} cannot follow {self.seq} in {self.name}"
        self.seq = event["seq"]
        kind: str = event["type"]
        completed: list[Item] = []
        if kind == "room.created":
            self.title = event.get("title", "")
            self.settings = event.get("settings", {})
            self.created_at = event["at"]
        elif kind == "room.updated":
            self.title = event.get("title", self.title)
            self.settings = event.get("settings", self.settings)
        elif kind == "item.created":
            completed = [Item.of(event["item"], event["seq"])]
            self.head_item_id = event["item"]["id"]
        elif kind == "queue.updated":
            self._order_queue(event)
        elif kind.startswith("response."):
            completed = self._fold_response(kind, event)
        for item in completed:
            self._keep(item)
        return completed

    def _keep(self, item: Item) -> None:
        """Take in a new item, and drop the oldest that nothing needs if there are too many."""
        self.items[item.id] = item
        if len(self.items) <= self.keep_items:
            return
        unanswered = (self.responses[open_id].questions for open_id in (*self.running, *self.queue))
        needed = {question for questions in unanswered for question in questions} | {item.id}
        oldest = next((known for known in self.items if known not in needed), None)
        if oldest is not None:
            del self.items[oldest]
            self.has_older = True
            self._forget_responses()

    def _forget_responses(self) -> None:
        """Drop ended responses that nothing shows any more."""
        shown = {item.response_id for item in self.items.values()}
        for response in list(self.responses.values()):
            if response.ended and response.prompt_id not in self.items and response.id not in shown:
                del self.responses[response.id]

    def _fold_response(self, kind: str, event: JsonObject) -> list[Item]:
        if kind == "response.created":
            self._create(event)
            return []
        response = self.responses.get(event.get("response_id", ""))
        if response is None:
            return []
        completed: list[Item] = []
        if "sequence_number" in event:
            response = replace(response, sequence=event["sequence_number"] + 1)
        if kind == "response.in_progress":
            response = replace(response, status=Status.IN_PROGRESS, started_at=event["at"])
            self._leave_queue(response.id)
            self.running.append(response.id)
        elif kind == "response.cancelling":
            cancel = {"by": event.get("by"), "reason": event.get("reason"), "at": event["at"]}
            response = replace(response, status=Status.CANCELLING, cancel=cancel)
        elif kind in TERMINAL_TYPES:
            completed = response.items(event)
            if event.get("reason") == "merged" and response.status is Status.QUEUED:
                self._merge(response, event.get("into"))
            response = self._end(response, event)
        else:
            if response.first_output_at is None:
                response = replace(response, first_output_at=event["at"])
            self._fold_output(response, kind, event)
        self.responses[response.id] = response
        return completed

    def _create(self, event: JsonObject) -> None:
        response = Response.created(event)
        self.responses[response.id] = response
        # Whoever asks for an answer to an older item goes back there: the answer becomes a branch beside the first.
        self.head_item_id = response.prompt_id or self.head_item_id
        if response.status is Status.QUEUED:
            self.queue.append(response.id)

    def _leave_queue(self, response_id: str) -> None:
        if response_id in self.queue:
            self.queue.remove(response_id)

    def _order_queue(self, event: JsonObject) -> None:
        """The line is as it was told, and so is what each answers. What it does not name stays behind what it does."""
        told = [entry["response_id"] for entry in event.get("queue", ()) if entry["response_id"] in self.queue]
        self.queue = [*told, *(waiting for waiting in self.queue if waiting not in told)]
        for entry in event.get("queue", ()):
            response = self.responses.get(entry["response_id"])
            if response is not None and not response.ended:
                self.responses[response.id] = response.waiting_as(entry)

    def _merge(self, response: Response, into: str | None) -> None:
        """What a response was to answer is now what `into` answers."""
        heir = self.responses.get(into or "")
        if heir is not None and not heir.ended:
            questions = dict.fromkeys((*heir.merged, *response.questions))
            questions.pop(heir.prompt_id or "", None)
            self.responses[heir.id] = replace(heir, merged=tuple(questions))

    def _fold_output(self, response: Response, kind: str, event: JsonObject) -> None:
        response.output.fold(event)
        if kind not in {"response.output_item.added", "response.output_item.done"}:
            return
        item = as_object(event.get("item")) or {}
        item_id, parent_id = item.get("id"), item.get("parent_id")
        if isinstance(item_id, str) and item_id not in response.placed and item_id in response.output:
            response.placed[item_id] = (parent_id, event["seq"])
            if parent_id == self.head_item_id:
                self.head_item_id = item_id

    def _end(self, response: Response, event: JsonObject) -> Response:
        """Close the books: the output has become items, and only the summary stays with the response."""
        self._leave_queue(response.id)
        if response.id in self.running:
            self.running.remove(response.id)
        self._forget_ended()
        return response.ended_with(event)

    def _forget_ended(self) -> None:
        """Drop the oldest ended response if there are too many: one prompt can be asked any number of times."""
        ended = [known.id for known in self.responses.values() if known.ended]
        if len(ended) >= self.keep_items:
            del self.responses[ended[0]]

    # -- checkpoints ----------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Encode everything; `load` gives an equal state."""
        return orjson.dumps(
            {
                "name": self.name,
                "seq": self.seq,
                "title": self.title,
                "settings": self.settings,
                "created_at": self.created_at,
                "items": [
                    [item.id, item.seq, item.parent_id, item.response_id, orjson.Fragment(item.data)]
                    for item in self.items.values()
                ],
                "responses": [response.dump() for response in self.responses.values()],
                "queue": self.queue,
                "running": self.running,
                "head_item_id": self.head_item_id,
                "has_older": self.has_older,
            }
        )

    @classmethod
    def load(cls, dumped: bytes, *, keep_items: int = 500) -> RoomState:
        """Take up what `dump` gave."""
        values: JsonObject = orjson.loads(dumped)
        state = cls(values["name"], keep_items=keep_items)
        for name in ("seq", "title", "settings", "created_at", "queue", "running", "head_item_id", "has_older"):
            setattr(state, name, values[name])
        for item_id, seq, parent_id, response_id, body in values["items"]:
            state.items[item_id] = Item(item_id, seq, parent_id, response_id, orjson.dumps(body), body.get("replaces"))
        for dumped_response in values["responses"]:
            response = Response.load(dumped_response)
            state.responses[response.id] = response
        return state
