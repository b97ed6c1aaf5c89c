"""Tests of tests/support/auditor.py: every promise to a viewer is broken once, and found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roomcast.core.events import Cursor, Record, encode_events
from roomcast.core.intents import HungUp
from tests.support.auditor import DISCONNECTED, audit_viewer
from tests.support.pure_reader import PureReader
from tests.support.pure_room import PureRoom, delta
from tests.support.reference import Json

Transcript = list[Json]
FAR = 10**9


class Scene:
    """A room with a past, and a viewer who saw all of it."""

    def __init__(self) -> None:
        self.room = PureRoom()
        self.viewer = PureReader()
        self.viewer.join(self.room.state, "e1", None)
        self.room.answered("one", "eins")
        self.room.say("two")
        self.room.say("three")
        self.room.answer("resp_2", "zw")
        for text in ("e", "", "i"):
            self.room.produce("resp_2", delta(text, "out_resp_2"))

    def records(self) -> list[Record]:
        return encode_events(self.room.log)

    def read(self) -> None:
        self.viewer.read_all(self.records())

    def end(self) -> None:
        self.room.cancel("resp_2")
        self.room.end("resp_2", HungUp(1))
        self.read()

    def audit(self, transcript: Transcript | None = None, *, complete: bool = True) -> list[str]:
        heard = self.viewer.transcript if transcript is None else transcript
        return audit_viewer(heard, self.room.log, room="lobby", complete=complete)


def whole_scene() -> Scene:
    """Reading live, merged, losing the connection, coming back, skipping, and coming back from an older place."""
    scene = Scene()
    viewer, room = scene.viewer, scene.room
    viewer.read(scene.records(), FAR)
    viewer.disconnect()
    viewer.join(room.state, "e1", viewer.cursor)
    scene.read()
    viewer.told_head(room.state)
    scene.room.produce("resp_2", delta("!", "out_resp_2"))
    viewer.reset(room.state)
    scene.read()
    viewer.disconnect()
    viewer.join(room.state, "e1", Cursor("e1", 9))
    viewer.read(scene.records(), FAR)
    scene.read()
    viewer.join(room.state, "e1", Cursor("lost", 9))
    scene.end()
    return scene


def test_a_viewer_who_was_told_the_truth_has_no_findings() -> None:
    scene = whole_scene()
    assert scene.audit() == []
    kinds = {event["type"] for event in scene.viewer.transcript}
    assert {"room.reset", "room.head", "reply", "disconnected"} <= kinds
    assert any("seq_from" in event for event in scene.viewer.transcript)


def test_what_concerns_others_is_passed_over() -> None:
    scene = whole_scene()
    others: Transcript = [
        {"type": "room.reset", "room": "other"},
        {"type": "item.created", "room": "other", "seq": 1},
        {"type": "reply", "id": "unasked", "ok": True, "result": {}},
        {"type": "room.join", "id": "x", "room": "other"},
        {"type": "reply", "id": "x", "ok": True, "result": {"seq": 1}},
        {"type": "room.join", "id": "y", "room": "lobby"},
        {"type": "reply", "id": "y", "ok": False, "error": {"code": "rate_limited"}},
        {"type": "presence.updated", "room": "lobby", "count": 1},
    ]
    assert scene.audit([*others, *scene.viewer.transcript, *others]) == []


def test_a_viewer_who_left_hears_nothing_more() -> None:
    scene = Scene()
    scene.read()
    left: Transcript = [
        {"type": "room.leave", "id": "l", "room": "lobby"},
        {"type": "reply", "id": "l", "ok": True, "result": {}},
    ]
    heard = scene.viewer.transcript
    assert scene.audit([*heard, *left]) == []
    assert [finding[:2] for finding in scene.audit([*heard[:-1], *left, heard[-1]], complete=False)] == ["V1"]


Change = Callable[[Transcript], Transcript]


def first(transcript: Transcript, event_type: str) -> int:
    return next(index for index, frame in enumerate(transcript) if frame["type"] == event_type)


def without(event_type: str) -> Change:
    def change(transcript: Transcript) -> Transcript:
        at = first(transcript, event_type)
        return [*transcript[:at], *transcript[at + 1 :]]

    return change


def twice(event_type: str) -> Change:
    def change(transcript: Transcript) -> Transcript:
        at = first(transcript, event_type)
        return [*transcript[: at + 1], *transcript[at:]]

    return change


def changed(event_type: str, edit: Callable[[Json], Json]) -> Change:
    def change(transcript: Transcript) -> Transcript:
        at = first(transcript, event_type)
        return [*transcript[:at], edit(transcript[at]), *transcript[at + 1 :]]

    return change


def first_merged(edit: Callable[[Json], Json]) -> Change:
    def change(transcript: Transcript) -> Transcript:
        at = next(index for index, frame in enumerate(transcript) if "seq_from" in frame)
        return [*transcript[:at], edit(transcript[at]), *transcript[at + 1 :]]

    return change


def with_snapshot(**fields: object) -> Change:
    return changed("room.reset", lambda reset: {**reset, "snapshot": {**reset["snapshot"], **fields}})


def in_reset(edit: Callable[[Json], Json]) -> Change:
    """Change the running response that the reset shows."""

    def change(reset: Json) -> Json:
        responses = [edit(one) if one["status"] == "in_progress" else one for one in reset["snapshot"]["responses"]]
        return {**reset, "snapshot": {**reset["snapshot"], "responses": responses}}

    return changed("room.reset", change)


def in_result(**fields: object) -> Change:
    """Change the first reply to a join that resumes."""

    def change(transcript: Transcript) -> Transcript:
        replies = [index for index, frame in enumerate(transcript) if frame["type"] == "reply"]
        at = next(index for index in replies if transcript[index]["result"]["resumed"])
        reply = {**transcript[at], "result": {**transcript[at]["result"], **fields}}
        return [*transcript[:at], reply, *transcript[at + 1 :]]

    return change


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("V1", without("reply")),
        ("V2", without("response.created")),
        ("V2", without("response.completed")),
        ("V2", twice("response.completed")),
        ("V2", first_merged(lambda event: {**event, "seq_from": event["seq_from"] + 1})),
        ("V3", first_merged(lambda event: {**event, "delta": event["delta"] + "?"})),
        ("V3", first_merged(lambda event: {**event, "seq_from": event["seq_from"] - 2})),
        ("V3", first_merged(lambda event: {**event, "type": "response.output_text.done", "text": ""})),
        ("V3", changed("item.created", lambda event: {**event, "at": 0})),
        ("V3", changed("response.output_text.delta", lambda event: {**event, "seq": 10_000})),
        ("V4", in_result(seq=1)),
        ("V4", in_result(epoch="e2")),
        ("V4", in_result(snapshot={})),
        ("V4", in_result(resumed=False)),
        ("V5", with_snapshot(responses=[])),
        ("V5", with_snapshot(queue=[])),
        ("V5", with_snapshot(items=[])),
        ("V5", with_snapshot(has_more=True)),
        ("V5", in_reset(lambda response: {**response, "output": []})),
        ("V5", in_reset(lambda response: {**response, "status": "queued"})),
        ("V5", in_reset(lambda response: {**response, "id": "resp_gone"})),
        ("V7", changed("room.head", lambda head: {**head, "seq": head["seq"] + 1})),
        ("V7", changed("room.head", lambda head: {**head, "epoch": "e2"})),
        ("V7", in_result(head=0)),
    ],
)
def test_a_viewer_who_was_told_something_else_is_found_out(rule: str, change: Change) -> None:
    scene = whole_scene()
    findings = scene.audit(change(scene.viewer.transcript))
    assert rule in {finding[:2] for finding in findings}, findings


def test_v5_an_item_or_an_ending_that_says_something_else_is_found_out() -> None:
    scene = Scene()
    scene.viewer.reset(scene.room.state)
    reset = scene.viewer.transcript[-1]
    shown = reset["snapshot"]
    items = [{**shown["items"][0], "content": [{"type": "input_text", "text": "never said"}]}, *shown["items"][1:]]
    ended = [{**shown["responses"][0], "digest": "sha256:0"}, *shown["responses"][1:]]
    for fields in ({"items": items}, {"items": items[1:]}, {"items": items[::-1]}, {"responses": ended}):
        transcript = [*scene.viewer.transcript[:-1], {**reset, "snapshot": {**shown, **fields}}]
        assert {finding[:2] for finding in scene.audit(transcript)} == {"V5"}, fields.keys()


def test_v8_text_that_a_snapshot_leaves_out_is_missed_in_the_end() -> None:
    scene = Scene()
    scene.viewer.reset(scene.room.state)
    scene.read()
    silent = in_reset(lambda response: {**response, "output": []})
    assert {finding[:2] for finding in scene.audit(silent(scene.viewer.transcript))} == {"V5", "V8"}
    scene.end()
    assert {finding[:2] for finding in scene.audit(silent(scene.viewer.transcript))} == {"V5", "V8"}


def test_a_transcript_may_begin_where_an_earlier_one_ended() -> None:
    scene = Scene()
    late = PureReader()
    late.join(scene.room.state, "e1", Cursor("e1", 7))
    late.read_all(scene.records())
    assert audit_viewer(late.transcript, scene.room.log, room="lobby", complete=True) == []


def test_v6_an_ending_that_a_reset_for_lag_leaves_out_is_found_out() -> None:
    scene = Scene()
    scene.read()
    scene.room.end("resp_2", HungUp(1))
    scene.room.cancel("resp_2")
    scene.room.end("resp_2", HungUp(1))
    scene.viewer.reset(scene.room.state)
    assert scene.audit() == []
    reset = scene.viewer.transcript[-1]
    left = [response for response in reset["snapshot"]["responses"] if response["id"] != "resp_2"]
    changed_reset = {**reset, "snapshot": {**reset["snapshot"], "responses": left}}
    assert [finding[:2] for finding in scene.audit([*scene.viewer.transcript[:-1], changed_reset])] == ["V6"]


def test_v2_a_viewer_who_should_have_everything_and_has_not_is_found_out() -> None:
    scene = Scene()
    scene.viewer.read(scene.records(), FAR)
    assert scene.audit(complete=False) == []
    assert [finding[:2] for finding in scene.audit(complete=True)] == ["V2"]


def test_v1_an_event_on_a_connection_that_has_not_joined_is_found_out() -> None:
    scene = Scene()
    scene.read()
    heard = scene.viewer.transcript
    assert [finding[:2] for finding in scene.audit([*heard[:-1], DISCONNECTED, heard[-1]], complete=False)] == ["V1"]


def test_v8_a_terminal_whose_digest_is_not_that_of_what_was_told_is_found_out() -> None:
    scene = Scene()
    scene.end()
    heard = scene.viewer.transcript
    at = first(heard, "response.cancelled")
    lying = [*heard[:at], {**heard[at], "digest": "sha256:0"}, *heard[at + 1 :]]
    assert {finding[:2] for finding in scene.audit(lying)} == {"V3", "V8"}


def test_a_room_without_events_has_nothing_to_tell() -> None:
    room = PureRoom()
    viewer = PureReader()
    viewer.join(room.state, "e1", None)
    assert audit_viewer(viewer.transcript, [], room="lobby", complete=True) == []
