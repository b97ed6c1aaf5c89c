"""What a room is: its events, folded.

    events ──fold──► RoomState ──► rules decide on it, snapshots show it, checkpoints keep it

Invariants
    S1  The state is a function of the log: `fold` reads nothing but the event.
    S2  A fork can be folded further, or thrown away, without being seen by its origin.
    S3  It is bounded: the newest `state_items` items, the responses that belong to them, and
        all open business (whose output rules.py bounds).
    S4  Folding never raises on an event that was once committed.

Not here: which events follow from an intent (rules.py); the shape that viewers get (snapshot.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from roomcast.core.events import TERMINAL_TYPES, JsonObject
from roomcast.core.output import Output
from roomcast.core.response_state import ENDINGS, Status

__all__ = ["Item", "Response", "RoomState"]


@dataclass(frozen=True, slots=True)
class Item:
    """A complete item of the conversation; `data` is its JSON as viewers get it."""

    id: str
    seq: int
    parent_id: str | None
    response_id: str | None
    data: bytes

    def body(self) -> JsonObject:
        """The item as JSON."""
        body: JsonObject = orjson.loads(self.data)
        return body


@dataclass(frozen=True, slots=True)
class Response:
    """One run of the model, as the room knows it. Replaced, never changed, but for `output` in a fork.

    Attributes:
        base: OpenAI's response object less what changes (`status`, `output`, `usage`, …).
        prompt_id: The item that it answers.
        by: Who asked: `{id, name}`.
        request: OpenAI's fields that the asker set, for the upstream.
        sequence: Next `sequence_number`.
        tip: The newest item of its own branch: the parent of its next output item.
        placed: Parent and seq of each output item, by item id.
        cancel: Who cancelled, why and when (`{by, reason, at}`), once somebody did.
        ending: What a terminal left for snapshots: `error`, `usage`, `digest`, `timings`, `receipt`, ….
    """

    id: str
    status: Status
    base: JsonObject
    prompt_id: str | None
    by: JsonObject
    profile: str
    request: JsonObject
    created_at: int
    started_at: int | None = None
    sequence: int = 0
    output: Output = field(default_factory=Output)
    placed: dict[str, tuple[str | None, int]] = field(default_factory=dict[str, "tuple[str | None, int]"])
    cancel: JsonObject | None = None
    ending: JsonObject = field(default_factory=dict[str, Any])

    @property
    def ended(self) -> bool:
        """Whether its one terminal is committed."""
        return self.status in ENDINGS


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
        """Where output of a response to `item_id` goes on: the head, if the prompt is on its branch."""
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
            response = self.responses[running]
            twin.responses[running] = replace(response, output=response.output.fork(), placed=dict(response.placed))
        return twin

    def fold(self, event: JsonObject) -> None:
        """Apply the next event; `event["seq"]` must be `seq` + 1."""
        assert event["seq"] == self.seq + 1, f"event {event['seq']} cannot follow {self.seq} in {self.name}"
        self.seq = event["seq"]
        kind: str = event["type"]
        if kind == "room.created":
            self.title = event.get("title", "")
            self.settings = event.get("settings", {})
            self.created_at = event["at"]
        elif kind == "item.created":
            self._fold_item(event["item"], event["seq"])
            self.head_item_id = event["item"]["id"]
        elif kind.startswith("response."):
            self._fold_response(kind, event)

    def _fold_item(self, item: JsonObject, seq: int) -> None:
        self.items[item["id"]] = Item(
            item["id"], seq, item.get("parent_id"), item.get("response_id"), orjson.dumps(item)
        )
        if len(self.items) > self.keep_items:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Drop the oldest item that no open response answers, and the responses that only it showed."""
        needed = {self.responses[open_id].prompt_id for open_id in (*self.running, *self.queue)}
        oldest = next((known for known in self.items if known not in needed), None)
        if oldest is None:
            return
        del self.items[oldest]
        self.has_older = True
        shown = {item.response_id for item in self.items.values()}
        for response in [known for known in self.responses.values() if known.prompt_id == oldest and known.ended]:
            if response.id not in shown:
                del self.responses[response.id]

    def _fold_response(self, kind: str, event: JsonObject) -> None:
        if kind == "response.created":
            self._create(event)
            return
        response = self.responses.get(event.get("response_id", ""))
        if response is None:
            return
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
            response = self._end(response, kind, event)
        else:
            self._fold_output(response, kind, event)
        self.responses[response.id] = response

    def _create(self, event: JsonObject) -> None:
        shown = event["response"]
        response = Response(
            id=event["response_id"],
            status=Status(shown["status"]),
            base={name: value for name, value in shown.items() if name not in _CHANGING},
            prompt_id=shown.get("item_id"),
            by=event.get("by", {}),
            profile=shown.get("profile", "default"),
            request=event.get("request", {}),
            created_at=event["at"],
            sequence=event.get("sequence_number", 0) + 1,
        )
        self.responses[response.id] = response
        if response.status is Status.QUEUED:
            self.queue.append(response.id)

    def _leave_queue(self, response_id: str) -> None:
        if response_id in self.queue:
            self.queue.remove(response_id)

    def _fold_output(self, response: Response, kind: str, event: JsonObject) -> None:
        if kind == "response.output_item.added" and isinstance(event.get("item"), dict):
            item = event["item"]
            item_id = item.get("id")
            if isinstance(item_id, str):
                parent_id = item.get("parent_id")
                response.placed[item_id] = (parent_id, event["seq"])
                if parent_id == self.head_item_id:
                    self.head_item_id = item_id
        response.output.fold(event)

    def _end(self, response: Response, kind: str, event: JsonObject) -> Response:
        """Close the books: the output becomes items, and only the summary stays with the response."""
        self._leave_queue(response.id)
        if response.id in self.running:
            self.running.remove(response.id)
        shown = event["response"]
        for item in shown.get("output", ()):
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                parent_id, seq = response.placed.get(item["id"], (item.get("parent_id"), event["seq"]))
                self._fold_item(
                    {**item, "parent_id": parent_id, "response_id": response.id, "at": event["at"], "seq": seq}, seq
                )
        ending = {name: shown[name] for name in _ENDING if shown.get(name) is not None}
        ending |= {name: event[name] for name in ("digest", "timings", "receipt", "cause") if name in event}
        return replace(
            response,
            status=Status(kind.removeprefix("response.")),
            output=Output(),
            placed={},
            ending=ending,
            request={},
        )

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
                "responses": [_dump_response(response) for response in self.responses.values()],
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
            state.items[item_id] = Item(item_id, seq, parent_id, response_id, orjson.dumps(body))
        for dumped_response in values["responses"]:
            response = _load_response(dumped_response)
            state.responses[response.id] = response
        return state


_CHANGING: Final = frozenset({"status", "output", "usage", "error", "incomplete_details"})
_ENDING: Final = ("error", "usage", "incomplete_details", "model", "service_tier", "completed_at")


def _dump_response(response: Response) -> JsonObject:
    names = ("id", "status", "base", "prompt_id", "by", "profile", "request", "created_at", "started_at", "sequence")
    values = {name: getattr(response, name) for name in names}
    return {
        **values,
        "output": response.output.dump(),
        "placed": response.placed,
        "cancel": response.cancel,
        "ending": response.ending,
    }


def _load_response(values: JsonObject) -> Response:
    placed = {item_id: (parent_id, seq) for item_id, (parent_id, seq) in values["placed"].items()}
    output, status = Output.load(values["output"]), Status(values["status"])
    return Response(**{**values, "status": status, "output": output, "placed": placed})
