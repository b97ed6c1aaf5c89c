"""Whether what one viewer was sent is what the log says: the promise of the project, as code.

Pure, and the same in all tests: the machines feed it what the core decided, end-to-end tests
what went over real sockets.

    transcript   one viewer's frames of one room, both ways, decoded, in order: the commands it
                 sent (`room.join`, `room.leave`) and everything it got; `DISCONNECTED` where a
                 connection ended and another goes on
    log          the room's events, decoded, from the first

Findings are sentences that begin with the rule they break:

    V1  nothing of the room precedes the reply to a join or follows that to a leave
    V2  coverage is consecutive: no hole, no event twice
    V3  an event is the log's, byte for byte as JSON; a merged one has the text of those it covers
    V4  a resumed join goes on exactly at its cursor; any other has a snapshot and says why
    V5  a snapshot is the log up to its seq: texts, statuses, queue, and the newest items
    V6  no ending is lost with the events that a reset for lag replaces
    V7  the head that is told is where the viewer stands
    V8  in the end, the viewer's text of every response is the log's, and its digest fits

Not here: what is wrong with the log itself (reference.audit_log).
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.reference import TERMINALS, Json, Story, story_at, text_digest

__all__ = ["DISCONNECTED", "audit_viewer"]

DISCONNECTED: Json = {"type": "disconnected"}


def audit_viewer(transcript: Sequence[Json], log: Sequence[Json], *, room: str, complete: bool = False) -> list[str]:
    """Everything that is wrong with what one viewer was sent.

    Args:
        transcript: The viewer's frames, both ways.
        log: The room's events from the first; longer than what the viewer got is fine.
        room: Name of the room; frames of others are passed over.
        complete: Whether the viewer must have reached the end of the log.
    """
    viewer = _Viewer(log, room)
    for frame in transcript:
        viewer.hear(frame)
    viewer.finish(complete=complete)
    return viewer.findings


class _Viewer:
    """What a viewer knows, frame by frame."""

    def __init__(self, log: Sequence[Json], room: str) -> None:
        self.findings: list[str] = []
        self._log = {event["seq"]: event for event in log}
        self._events = log
        self._room = room
        self._asked: dict[str, Json] = {}
        self._joined = False
        self._epoch: str | None = None
        self._position = 0
        self._story = Story()

    def hear(self, frame: Json) -> None:
        """The next frame, sent or received."""
        kind = frame["type"]
        if kind in {"room.join", "room.leave"}:
            self._asked[frame["id"]] = frame
        elif kind == DISCONNECTED["type"]:
            self._joined, self._asked = False, {}
        elif kind == "reply":
            self._reply(frame)
        elif frame.get("room") != self._room:
            return
        elif kind == "room.reset":
            self._reset(frame)
        elif kind == "room.head":
            self._head(frame)
        elif "seq" in frame:
            self._event(frame)

    def finish(self, *, complete: bool) -> None:
        """The transcript is over."""
        newest = self._events[-1]["seq"] if self._events else 0
        if complete and self._position != newest:
            self._find(f"V2 stands at {self._position}, and the log at {newest}")
        truth = story_at(self._events, self._position)
        for response_id in self._story.statuses:
            open_or_heard = response_id not in truth.terminals or response_id in self._story.terminals
            if open_or_heard and self._story.text(response_id) != truth.text(response_id):
                self._find(
                    f"V8 {response_id}: {self._story.text(response_id)!r} instead of {truth.text(response_id)!r}"
                )

    # -- beginning and ending -------------------------------------------------------------------

    def _reply(self, frame: Json) -> None:
        asked = self._asked.pop(frame.get("id", ""), None)
        if asked is None or asked["room"] != self._room or not frame["ok"]:
            return
        if asked["type"] == "room.leave":
            self._joined = False
            return
        result, after = frame["result"], asked.get("after")
        if not result["resumed"]:
            self._begin(result, result.get("reset"), known_until=None)
        elif (
            after is None or (result["epoch"], result["seq"]) != (after["epoch"], after["seq"]) or "snapshot" in result
        ):
            self._find(f"V4 resumed from {after} at {result['epoch']}, {result['seq']}")
        else:
            if self._epoch is not None and after["seq"] > self._position:
                self._find(f"V2 comes back from {after['seq']}, and got no further than {self._position}")
            if self._position != after["seq"]:  # it comes back from an older place, or was here before the transcript
                self._story = story_at(self._events, after["seq"])
            self._joined, self._epoch, self._position = True, result["epoch"], after["seq"]
        if result["head"] < result["seq"]:
            self._find(f"V7 head {result['head']} is behind {result['seq']}")

    def _reset(self, frame: Json) -> None:
        known_until = self._position if frame["reason"] == "lagging" else None
        self._begin(frame, frame["reason"], known_until=known_until)

    def _begin(self, given: Json, reason: str | None, *, known_until: int | None) -> None:
        """A snapshot stands for everything up to its seq."""
        if "snapshot" not in given or not reason:
            self._find(f"V4 neither resumed nor begun: {sorted(given)}")
            return
        self._joined, self._epoch, self._position = True, given["epoch"], given["seq"]
        truth = story_at(self._events, given["seq"])
        self._story = Story()
        for response in given["snapshot"]["responses"]:
            self._story.show(response)
        self._compare(given["snapshot"], truth, given["seq"])
        if known_until is not None:
            shown = {response["id"] for response in given["snapshot"]["responses"]}
            for response_id, terminal in truth.terminals.items():
                if terminal["seq"] > known_until and response_id not in shown:
                    self._find(f"V6 {response_id} ended at {terminal['seq']}, which the reset does not say")

    def _compare(self, snapshot: Json, truth: Story, seq: int) -> None:
        shown = {response["id"]: response for response in snapshot["responses"]}
        for response_id, status in truth.statuses.items():
            response = shown.get(response_id)
            if response is None:
                if response_id not in truth.terminals:
                    self._find(f"V5 at {seq}: {response_id} is {status} and not shown")
            elif response_id in truth.terminals:
                if response.get("digest") != truth.terminals[response_id]["digest"]:
                    self._find(f"V5 at {seq}: {response_id} has the digest {response.get('digest')}")
            elif response["status"] != status or self._story.text(response_id) != truth.text(response_id):
                self._find(
                    f"V5 at {seq}: {response_id} is shown {response['status']}, {self._story.text(response_id)!r}"
                )
        for response_id in shown.keys() - truth.statuses.keys():
            self._find(f"V5 at {seq}: {response_id} is shown, but there is none")
        if [entry["response_id"] for entry in snapshot["queue"]] != truth.queue:
            self._find(f"V5 at {seq}: the queue is {truth.queue}")
        self._compare_items(snapshot, truth, seq)

    def _compare_items(self, snapshot: Json, truth: Story, seq: int) -> None:
        listed = snapshot["items"]
        known = sorted(truth.items, key=lambda item: item[0])
        newest = known[len(known) - len(listed) :] if listed else []
        if [item["id"] for item in listed] != [item_id for _, item_id, _ in newest]:
            self._find(f"V5 at {seq}: items {[item['id'] for item in listed]} are not the newest")
        elif [item.get("content") for item in listed] != [body.get("content") for _, _, body in newest]:
            self._find(f"V5 at {seq}: an item does not say what was said")
        if snapshot["has_more"] != (len(listed) < len(known)):
            self._find(f"V5 at {seq}: has_more is {snapshot['has_more']} with {len(listed)} of {len(known)} items")

    # -- going on -------------------------------------------------------------------------------

    def _event(self, event: Json) -> None:
        if not self._joined:
            self._find(f"V1 {event['seq']} ({event['type']}) comes to somebody who has not joined")
            return
        last: int = event["seq"]
        first: int = event.get("seq_from", last)
        if first != self._position + 1 or last < first:
            self._find(f"V2 {first}..{last} ({event['type']}) follows {self._position}")
        covered = [self._log[seq] for seq in range(first, last + 1) if seq in self._log]
        if len(covered) != last - first + 1:
            self._find(f"V3 {first}..{last} is not in the log")
        elif first == last and "seq_from" not in event:
            if event != covered[0]:
                self._find(f"V3 {last} is {event} instead of {covered[0]}")
        else:
            self._merged(event, covered)
        self._position = last
        self._story.tell(event)
        if event["type"] in TERMINALS and event["digest"] != text_digest(self._story.text(event["response_id"])):
            self._find(
                f"V8 {event['response_id']}: the digest is not that of {self._story.text(event['response_id'])!r}"
            )

    def _merged(self, event: Json, covered: Sequence[Json]) -> None:
        """A merged event is the last that it covers, with the text of all; and they differ in nothing else."""
        differing = {"seq", "seq_from", "at", "sequence_number", "delta", "logprobs"}
        places = [{name: value for name, value in one.items() if name not in differing} for one in covered]
        text = "".join(one.get("delta", "") for one in covered)
        expected = {**covered[-1], "delta": text, "seq_from": covered[0]["seq"]}
        if not event["type"].endswith(".delta") or any(place != places[0] for place in places):
            self._find(f"V3 {covered[0]['seq']}..{event['seq']} covers more than deltas of one place")
        elif {**event, "logprobs": None} != {**expected, "logprobs": None}:
            self._find(f"V3 {covered[0]['seq']}..{event['seq']} is {event} instead of {expected}")

    def _head(self, frame: Json) -> None:
        if not self._joined or (frame["epoch"], frame["seq"]) != (self._epoch, self._position):
            self._find(f"V7 the head is told to be {frame['seq']} of {frame['epoch']}, standing at {self._position}")

    def _find(self, finding: str) -> None:
        self.findings.append(finding)
