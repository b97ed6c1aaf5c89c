"""Answers of the model as they grow: the fold of `response.*` events. Pure.

    response.created ─► deltas … ─► terminal          text, status, and whether the digest agrees
                    snapshot ─┘

Invariants
    A1  `text` is all output text by (`output_index`, `content_index`), without attempts that no
        longer count: exactly what the digest of the terminal is made from.
    A2  What a reader has been given by `unread` is never given to it again.
    A3  An ended answer is kept until `keep_ended` newer ones have ended.

Not here: messages of people, and the order of the conversation (transcript.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from roomcast.client.events import RoomEvent, as_object
from roomcast.core.events import OPEN_STATUSES, TERMINAL_TYPES, JsonObject

__all__ = ["Answer", "Answers", "is_output"]

PartKey = tuple[str, int]
"""Item id and content index: names a piece of content also across a reset."""


def is_output(item: JsonObject) -> bool:
    """Whether the model produced this item, so that it belongs to an answer."""
    return "response_id" in item and item.get("role", "assistant") == "assistant"


class _Part:
    """One piece of content, kept as it came, so that growing costs what is added."""

    __slots__ = ("chunks", "kind", "length", "output_index")

    def __init__(self, output_index: int, kind: str) -> None:
        self.output_index = output_index
        self.kind = kind
        self.chunks: list[str] = []
        self.length = 0

    def add(self, text: str) -> None:
        self.chunks.append(text)
        self.length += len(text)

    def set(self, text: str) -> None:
        self.chunks = [text]
        self.length = len(text)

    def since(self, position: int) -> str:
        """The text behind `position`, without joining what is before it."""
        missing, chunks = self.length - position, list[str]()
        for chunk in reversed(self.chunks):
            if missing <= 0:
                break
            chunks.append(chunk[-missing:])
            missing -= len(chunk)
        return "".join(reversed(chunks))


class Answer:
    """What one response has brought so far.

    Attributes:
        status: `queued`, `in_progress`, `cancelling`, or how it ended (`interrupted` included).
        response: OpenAI's response object, as last told.
        by: Who asked, as `{id, name}`, if that was told.
        terminal: The event that ended it; one made from a snapshot has no `seq`.
        verified: Whether the digest agrees with the text; None before the end, and for text
            that was not seen whole.
    """

    def __init__(self, response_id: str, response: JsonObject | None = None) -> None:
        self.id = response_id
        self.response: JsonObject = response if response is not None else {}
        self.status = str(self.response.get("status", "queued"))
        self.by: JsonObject | None = self.response.get("by")
        self.terminal: RoomEvent | None = None
        self.verified: bool | None = None
        self._parts: dict[PartKey, _Part] = {}
        self._whole = True

    @property
    def ended(self) -> bool:
        """Whether nothing will be added any more."""
        return self.terminal is not None

    @property
    def text(self) -> str:
        """The output text."""
        return "".join(part.since(0) for _, part in self._ordered("output_text"))

    @property
    def refusal(self) -> str:
        """What the model said instead of an answer, if it refused."""
        return "".join(part.since(0) for _, part in self._ordered("refusal"))

    @property
    def reason(self) -> str | None:
        """Why it did not complete, in one word; None while it runs and when it completed."""
        receipt = self.terminal.data.get("receipt") if self.terminal is not None else None
        for source, name in (
            (self.response.get("error"), "code"),
            (self.response.get("incomplete_details"), "reason"),
            (receipt, "reason"),
        ):
            if reason := as_object(source).get(name):
                return str(reason)
        return None

    def unread(self, seen: dict[PartKey, int]) -> str:
        """Give the text that a reader has not had yet, and count it in `seen`."""
        fresh = list[str]()
        for key, part in self._ordered("output_text"):
            fresh.append(part.since(seen.get(key, 0)))
            seen[key] = part.length
        return "".join(fresh)

    def apply(self, event: RoomEvent) -> None:
        """Fold one event of this response in."""
        data = event.data
        match event.type:
            case "response.output_text.delta" | "response.refusal.delta":
                self._part(data, event.type.split(".")[1]).add(data["delta"])
            case "response.output_text.done":
                self._part(data, "output_text").set(data["text"])
            case "response.refusal.done":
                self._part(data, "refusal").set(data["refusal"])
            case "response.output_item.done":
                self._item(data["output_index"], data["item"])
            case "response.attempt_superseded":
                self.drop_items(set(data["item_ids"]))
            case "response.created" | "response.in_progress":
                self.response = data.get("response", self.response)
                self.status = str(self.response.get("status", "in_progress"))
                self.by = data.get("by", self.by)
            case "response.cancelling":
                self.status = "cancelling"
            case _ if event.is_terminal:
                self._end(event)
            case _:
                pass  # reasoning, tools, annotations: not text

    def drop_items(self, item_ids: set[str]) -> None:
        """Forget the content of items that no longer count."""
        self._parts = {key: part for key, part in self._parts.items() if key[0] not in item_ids}

    def retract(self, item_id: str) -> None:
        """Forget the content of an item that was taken back; the digest then proves nothing."""
        if any(key[0] == item_id for key in self._parts):
            self.drop_items({item_id})
            self._whole, self.verified = False, None

    def fill(self, output: list[JsonObject], *, whole: bool) -> None:
        """Take the content from `output`, as a snapshot has it.

        Args:
            output: Output items, in order.
            whole: Whether this is all of it, so that a digest can be checked.
        """
        self._whole = whole
        for output_index, item in enumerate(output):
            self._item(output_index, item)

    def close_from_snapshot(self) -> None:
        """End it as its response object says, because the event itself was not seen."""
        interrupted = as_object(self.response.get("incomplete_details")).get("reason") == "interrupted"
        kind = f"response.{'interrupted' if interrupted else self.status}"
        assert kind in TERMINAL_TYPES, f"a response with status {self.status} has not ended"
        told: JsonObject = {
            name: self.response[name] for name in ("digest", "timings", "receipt") if name in self.response
        }
        data: JsonObject = {"type": kind, "response_id": self.id, **told, "response": self.response}
        self._end(RoomEvent(kind, None, None, data))

    def _end(self, event: RoomEvent) -> None:
        self.terminal = event
        self.response = event.data.get("response", self.response)
        self.status = event.type.removeprefix("response.")
        digest = event.data.get("digest")
        if self._whole and digest is not None:
            self.verified = digest == f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"

    def _ordered(self, kind: str) -> Iterator[tuple[PartKey, _Part]]:
        ranked = sorted(self._parts.items(), key=lambda entry: (entry[1].output_index, entry[0][1]))
        return (entry for entry in ranked if entry[1].kind == kind)

    def _part(self, data: JsonObject, kind: str) -> _Part:
        key = (data["item_id"], data["content_index"])
        return self._parts.setdefault(key, _Part(data["output_index"], kind))

    def _item(self, output_index: int, item: JsonObject) -> None:
        """Take the text of a whole item: some upstreams send no deltas."""
        if item.get("type") != "message":
            return
        for content_index, content in enumerate(item.get("content") or ()):
            kind = content.get("type")
            if kind in ("output_text", "refusal"):
                part = self._parts.setdefault((item["id"], content_index), _Part(output_index, kind))
                part.set(content["text" if kind == "output_text" else "refusal"])


class Answers:
    """The open answers of a room, and the ones that ended last."""

    def __init__(self, *, keep_ended: int = 64) -> None:
        self._by_id: dict[str, Answer] = {}
        self._keep_ended = keep_ended
        self.resets = 0

    def find(self, response_id: str) -> Answer | None:
        """The answer with this id, if it is open or ended lately."""
        return self._by_id.get(response_id)

    @property
    def open(self) -> list[Answer]:
        """Queued and running ones, oldest first."""
        return [answer for answer in self._by_id.values() if not answer.ended]

    def apply(self, event: RoomEvent) -> Answer | None:
        """Fold an event in, and return the answer that it changed."""
        response_id = event.response_id
        if event.type == "item.retracted":
            for kept in self._by_id.values():
                kept.retract(event.data["item_id"])
        if response_id is None or not event.type.startswith("response."):
            return None
        answer = self._by_id.get(response_id) or self._begin(response_id, event)
        if answer is None:
            return None
        answer.apply(event)
        if answer.ended:
            self._trim(answer)
        return answer

    def reset(self, snapshot: JsonObject) -> None:
        """Replace what is known by a snapshot; what ended before and is not listed stays known."""
        self.resets += 1
        before, self._by_id = self._by_id, {}
        self._by_id.update({key: answer for key, answer in before.items() if answer.ended})
        items: list[JsonObject] = snapshot.get("items", [])
        for response in snapshot.get("responses", ()):
            answer = Answer(response["id"], response)
            if answer.status in OPEN_STATUSES:
                answer.fill(response.get("output", []), whole=True)
            else:
                answer.fill(
                    [item for item in items if is_output(item) and item["response_id"] == answer.id], whole=False
                )
                answer.close_from_snapshot()
                known = self._by_id.get(answer.id)
                if known is not None and known.status == answer.status:
                    continue  # it was seen itself, which is more than its entry here
            self._by_id.pop(answer.id, None)
            self._by_id[answer.id] = answer

    def _begin(self, response_id: str, event: RoomEvent) -> Answer | None:
        """Keep a new answer. One whose beginning was before our position is never whole."""
        if event.type.startswith("response.steer."):
            return None  # it may come for one that ended long ago
        answer = self._by_id[response_id] = Answer(response_id)
        if event.type != "response.created":
            answer.fill([], whole=False)
        return answer

    def _trim(self, newest: Answer) -> None:
        """Move `newest` to the end of the ended ones, and let go of the oldest."""
        self._by_id[newest.id] = self._by_id.pop(newest.id)
        ended = [key for key, answer in self._by_id.items() if answer.ended]
        for key in ended[: max(0, len(ended) - self._keep_ended)]:
            del self._by_id[key]
