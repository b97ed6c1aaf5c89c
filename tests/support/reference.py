"""A second opinion of what a log means: simpler than core/, and sharing no code with it.

    Story().tell(event)     what the events so far add up to
    audit_log(events)       what a log may not say, whatever happened

Findings are sentences that begin with the rule they break:

    L1  seqs are dense, in one room, and no committed event covers another
    L2  sequence_numbers of a response are dense from 0
    L3  a response has one life: created, then started or not, then one terminal, then nothing
    L4  no output precedes the start or follows a cancel, and what is cancelled ends cancelled
    L5  at most one response runs
    L6  the digest and the output of a terminal are the text of its deltas
    L7  what is told of the queue is who waits, and whoever starts was next in the order told
    L8  at rest, every response has its terminal
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

__all__ = ["Json", "Story", "audit_log", "story_at", "text_digest"]

Json = dict[str, Any]

ENDINGS = ("completed", "incomplete", "failed", "cancelled", "interrupted")
TERMINALS = {f"response.{ending}" for ending in ENDINGS}
LIFE = TERMINALS | {"response.created", "response.in_progress", "response.cancelling"}


def text_digest(text: str) -> str:
    """The `digest` of a text."""
    return "sha256:" + sha256(text.encode()).hexdigest()


@dataclass
class Story:
    """What events add up to.

    Attributes:
        texts: Output text by response, output_index and content_index.
        statuses: Status of each response, in the order they were created.
        items: Complete items as (seq, id, body), in the order they were completed.
        terminals: The terminal of each response that has one.
    """

    texts: dict[tuple[str, int, int], str] = field(default_factory=dict[tuple[str, int, int], str])
    statuses: dict[str, str] = field(default_factory=dict[str, str])
    queue: list[str] = field(default_factory=list[str])
    running: list[str] = field(default_factory=list[str])
    items: list[tuple[int, str, Json]] = field(default_factory=list[tuple[int, str, Json]])
    terminals: dict[str, Json] = field(default_factory=dict[str, Json])
    announced: dict[str, int] = field(default_factory=dict[str, int])

    def text(self, response_id: str) -> str:
        """Everything a response said, by place."""
        return "".join(self.texts[place] for place in sorted(self.texts) if place[0] == response_id)

    def text_digest(self, response_id: str) -> str:
        """The digest of what a response said."""
        return text_digest(self.text(response_id))

    def tell(self, event: Json) -> None:
        """The next event."""
        kind, response_id = event["type"], event.get("response_id", "")
        if kind == "item.created":
            self.items.append((event["seq"], event["item"]["id"], event["item"]))
        elif kind == "queue.updated":
            self.queue = [entry["response_id"] for entry in event["queue"]]
        elif kind == "response.created":
            self.statuses[response_id] = event["response"]["status"]
            if self.statuses[response_id] == "queued":
                self.queue.append(response_id)
        elif kind == "response.in_progress":
            self.statuses[response_id] = "in_progress"
            self.queue = [waiting for waiting in self.queue if waiting != response_id]
            self.running.append(response_id)
        elif kind == "response.cancelling":
            self.statuses[response_id] = "cancelling"
        elif kind in TERMINALS:
            self._end(event, response_id)
        elif kind.startswith("response."):
            self._output(event, kind, response_id)

    def show(self, response: Json) -> None:
        """A response as a snapshot shows it: what it said so far counts as told."""
        response_id = response["id"]
        self.statuses[response_id] = response["status"]
        for place in [place for place in self.texts if place[0] == response_id]:
            del self.texts[place]
        for output_index, item in enumerate(response.get("output", ())):
            self._take_item(response_id, output_index, item)

    def _end(self, event: Json, response_id: str) -> None:
        self.statuses[response_id] = event["type"].removeprefix("response.")
        self.queue = [waiting for waiting in self.queue if waiting != response_id]
        self.running = [running for running in self.running if running != response_id]
        self.terminals.setdefault(response_id, event)
        output: list[Json] = event["response"]["output"]
        for item in output:
            seq: int = event["seq"]
            self.items.append((self.announced.get(item["id"], seq), item["id"], item))

    def _output(self, event: Json, kind: str, response_id: str) -> None:
        output_index, place = (
            event.get("output_index", 0),
            (response_id, event.get("output_index", 0), event.get("content_index", 0)),
        )
        match kind.removeprefix("response."):
            case "output_text.delta":
                self.texts[place] = self.texts.get(place, "") + event["delta"]
            case "output_text.done":
                self.texts[place] = event["text"]
            case "content_part.added" | "content_part.done":
                self._take_part(place, event["part"])
            case "output_item.added" | "output_item.done":
                self.announced.setdefault(event["item"]["id"], event["seq"])
                self._take_item(response_id, output_index, event["item"])
            case _:
                pass

    def _take_item(self, response_id: str, output_index: int, item: Json) -> None:
        for place in [place for place in self.texts if place[:2] == (response_id, output_index)]:
            del self.texts[place]
        for content_index, part in enumerate(item.get("content") or ()):
            self._take_part((response_id, output_index, content_index), part)

    def _take_part(self, place: tuple[str, int, int], part: Json) -> None:
        self.texts.pop(place, None)
        if part.get("type") == "output_text":
            self.texts[place] = part["text"]


def story_at(log: Sequence[Json], seq: int) -> Story:
    """What the events up to `seq` add up to."""
    story = Story()
    for event in log:
        if event["seq"] <= seq:
            story.tell(event)
    return story


def audit_log(log: Sequence[Json], *, at_rest: bool = False) -> list[str]:
    """Everything that is wrong with a log that begins with its first event.

    Args:
        log: The events of one room, decoded, oldest first.
        at_rest: Whether nothing runs and nothing waits any more.
    """
    findings: list[str] = []
    numbers: dict[str, int] = {}
    story = Story()
    for expected, event in enumerate(log, 1):
        where = f"at seq {event.get('seq')} ({event['type']})"
        if event.get("seq") != expected or "seq_from" in event or event.get("room") != log[0].get("room"):
            findings.append(f"L1 {where}: expected seq {expected} of room {log[0].get('room')}")
        if event["type"].startswith("response."):
            findings += [f"{finding} {where}" for finding in _life(story, event, numbers)]
        if event["type"] == "queue.updated" and _told(event) != sorted(story.queue):
            findings.append(f"L7 {where}: {story.queue} wait")
        if event["type"] == "response.in_progress" and event["response_id"] in story.queue[1:]:
            findings.append(f"L7 {where}: {story.queue[0]} is next")
        story.tell(event)
        if len(story.running) > 1:
            findings.append(f"L5 {where}: {story.running} run at once")
    if at_rest:
        findings += [f"L8 {open_id} never ended" for open_id in story.statuses if open_id not in story.terminals]
    return findings


def _told(event: Json) -> list[str]:
    return sorted(entry["response_id"] for entry in event["queue"])


def _life(story: Story, event: Json, numbers: dict[str, int]) -> Iterable[str]:
    """What is wrong with one event of a response, given what came before it."""
    kind, response_id = event["type"], event.get("response_id", "")
    status, number = story.statuses.get(response_id), numbers.get(response_id, 0)
    numbers[response_id] = number + 1
    if event.get("sequence_number") != number:
        yield f"L2 {response_id}: sequence_number {event.get('sequence_number')} instead of {number}"
    if kind == "response.created":
        if status is not None:
            yield f"L3 {response_id} is created twice"
    elif status is None or response_id in story.terminals:
        yield f"L3 {response_id} has no such event: it is {status or 'unknown'}"
    elif kind == "response.in_progress" and response_id in story.running:
        yield f"L3 {response_id} starts twice"
    elif kind == "response.in_progress" and story.queue and story.queue[0] != response_id:
        yield f"L7 {response_id} starts before {story.queue[0]}"
    elif kind in TERMINALS and status == "cancelling" and kind != "response.cancelled":
        yield f"L4 {response_id} was cancelled and ends {kind}"
    elif kind not in LIFE and (status == "cancelling" or response_id not in story.running):
        yield f"L4 {response_id} is {status} and has output"
    if kind in TERMINALS and status is not None:
        yield from _last_words(story, event, response_id)


def _last_words(story: Story, terminal: Json, response_id: str) -> Iterable[str]:
    said = story.text(response_id)
    if terminal["digest"] != text_digest(said):
        yield f"L6 {response_id}: the digest is not that of its {len(said)} characters"
    parts = [part for item in terminal["response"]["output"] for part in item.get("content") or ()]
    kept = "".join(part["text"] for part in parts if part.get("type") == "output_text")
    if kept != said:
        yield f"L6 {response_id}: {len(kept)} characters of output instead of {len(said)}"
