"""A room as a conversation: snapshot and events become messages and answers, in order. Pure.

    transcript = Transcript(room.snapshot)
    async for event in room:
        changed = transcript.apply(event)

`apply` takes everything that iterating over a room yields, resets included, and returns the
entry that it changed. The command line draws from this; so can any other viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

from roomcast.client.answers import Answer, Answers, is_output
from roomcast.client.events import RoomEvent, as_object
from roomcast.core.events import JsonObject

__all__ = ["Message", "Transcript", "content_text"]


@dataclass(slots=True)
class Message:
    """What a person or a tool has added.

    Attributes:
        name: Who, as shown to others.
        status: `retracted` when it was taken back, with no text left.
    """

    id: str
    role: str
    name: str
    text: str
    status: str

    @classmethod
    def from_item(cls, item: JsonObject) -> Message:
        """Read an item of type `message`."""
        by = as_object(item.get("by"))
        role = str(item.get("role", ""))
        name = by.get("name") or by.get("id")
        return cls(item["id"], role, str(name or role), content_text(item), str(item.get("status", "completed")))


def content_text(item: JsonObject) -> str:
    """The text of an item; other content shows as its kind in brackets."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    pieces = list[str]()
    for part in content or ():
        text = part.get("text", part.get("refusal"))
        pieces.append(text if isinstance(text, str) else f"[{part.get('type', 'content')}]")
    return "\n".join(pieces)


class Transcript:
    """The newest entries of a conversation.

    Attributes:
        entries: Messages and answers, oldest first. An answer's text grows in place.
    """

    def __init__(self, snapshot: JsonObject | None = None, *, keep: int = 500) -> None:
        self._keep = keep
        self._answers = Answers(keep_ended=keep)
        self.entries: list[Message | Answer] = []
        if snapshot is not None:
            self._reset(snapshot)

    @property
    def running(self) -> list[Answer]:
        """Answers that are queued or under way."""
        return self._answers.open

    def apply(self, event: RoomEvent) -> Message | Answer | None:
        """Fold an event in, and return the entry that it changed, if it changed one."""
        if event.is_reset:
            self._reset(event.data["snapshot"])
            return None
        if event.type == "item.created":
            item = event.data["item"]
            return self._add(Message.from_item(item)) if item.get("type") == "message" else None
        answer = self._answers.apply(event)
        if event.type == "item.retracted":
            return self._retracted(event.data["item_id"])
        if answer is not None and event.type == "response.created":
            self._add(answer)
        return answer

    def _add(self, entry: Message | Answer) -> Message | Answer:
        self.entries.append(entry)
        del self.entries[: max(0, len(self.entries) - self._keep)]
        return entry

    def _retracted(self, item_id: str) -> Message | None:
        for entry in reversed(self.entries):
            if isinstance(entry, Message) and entry.id == item_id:
                entry.text, entry.status = "", "retracted"
                return entry
        return None

    def _reset(self, snapshot: JsonObject) -> None:
        self._answers.reset(snapshot)
        self.entries = []
        placed = set[str]()

        def place(response_id: str) -> bool:
            answer = self._answers.find(response_id)
            if answer is not None and answer.id not in placed:
                placed.add(answer.id)
                self._add(answer)
            return answer is not None

        responses: list[JsonObject] = snapshot.get("responses", [])
        for item in snapshot.get("items", ()):
            if is_output(item) and place(item["response_id"]):
                continue
            if item.get("type") == "message":
                self._add(Message.from_item(item))
            for response in responses:
                if response.get("item_id") == item["id"]:
                    place(response["id"])  # an answer stands below its prompt, as it does when both are seen
        for response in responses:
            place(response["id"])
