"""Tests of tests/support/reference.py: every rule is broken once, and found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roomcast.core.intents import HungUp, Recovered
from tests.support.pure_room import BOB, PureRoom, delta, item_added, item_done
from tests.support.reference import Json, audit_log, story_at, text_digest


def a_log() -> list[Json]:
    """Three prompts: one is answered, one is cancelled while it is written, one is withdrawn."""
    room = PureRoom()
    room.say("one")
    room.say("two", by=BOB)
    room.say("three")
    room.answer("resp_1", "Hel")
    room.produce("resp_1", delta("lo", "out_resp_1"), item_done("out_resp_1", "Hello"))
    room.cancel("resp_3")
    room.end("resp_1")
    room.answer("resp_2", "zw")
    room.cancel("resp_2")
    room.end("resp_2", HungUp(1))
    return room.log


def where(log: list[Json], event_type: str) -> int:
    return next(index for index, event in enumerate(log) if event["type"] == event_type)


def renumbered(log: list[Json]) -> list[Json]:
    """Close the gap that an inserted or removed event leaves, in seq and in sequence_number."""
    numbers: dict[str, int] = {}
    events: list[Json] = []
    for seq, event in enumerate(log, 1):
        renewed = {**event, "seq": seq}
        if "sequence_number" in event:
            number = numbers.get(event["response_id"], 0)
            numbers[event["response_id"]] = number + 1
            renewed["sequence_number"] = number
        events.append(renewed)
    return events


def test_a_good_log_has_no_findings() -> None:
    assert audit_log(a_log(), at_rest=True) == []
    assert audit_log([]) == []


def edit(event_type: str, **fields: object) -> Callable[[list[Json]], list[Json]]:
    def change(log: list[Json]) -> list[Json]:
        at = where(log, event_type)
        return [*log[:at], {**log[at], **fields}, *log[at + 1 :]]

    return change


def without(event_type: str) -> Callable[[list[Json]], list[Json]]:
    def change(log: list[Json]) -> list[Json]:
        at = where(log, event_type)
        return renumbered([*log[:at], *log[at + 1 :]])

    return change


def again(event_type: str, *, at_the_end: bool = False) -> Callable[[list[Json]], list[Json]]:
    def change(log: list[Json]) -> list[Json]:
        at = where(log, event_type)
        return renumbered([*log, log[at]] if at_the_end else [*log[: at + 1], log[at], *log[at + 1 :]])

    return change


def swapped(event_type: str) -> Callable[[list[Json]], list[Json]]:
    """An event and the one before it change places."""

    def change(log: list[Json]) -> list[Json]:
        at = where(log, event_type)
        return renumbered([*log[: at - 1], log[at], log[at - 1], *log[at + 1 :]])

    return change


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("L1", edit("item.created", seq=9)),
        ("L1", edit("item.created", room="other")),
        ("L1", edit("response.output_text.delta", seq_from=1)),
        ("L2", edit("response.output_text.delta", sequence_number=9)),
        ("L3", again("response.created")),
        ("L3", again("response.in_progress")),
        ("L3", again("response.completed")),
        ("L3", without("response.created")),
        ("L3", again("response.output_text.delta", at_the_end=True)),
        ("L4", swapped("response.cancelling")),
        ("L5", without("response.completed")),
        ("L6", edit("response.completed", digest=text_digest("Hello!"))),
        ("L6", edit("response.completed", response={"output": []})),
        ("L6", edit("response.output_item.done", item=item_done("out_resp_1", "Hello!")["item"])),
        ("L7", edit("queue.updated", queue=[])),
        ("L8", without("response.completed")),
    ],
)
def test_a_log_that_breaks_a_rule_is_found_out(rule: str, change: Callable[[list[Json]], list[Json]]) -> None:
    findings = audit_log(change(a_log()), at_rest=True)
    assert rule in {finding[:2] for finding in findings}, findings


def test_output_behind_a_cancel_is_found_out() -> None:
    log = a_log()
    at = where(log, "response.cancelling")
    late: Json = {**log[where(log, "response.output_text.delta")], "response_id": "resp_2", "delta": ""}
    findings = audit_log(renumbered([*log[: at + 1], late, *log[at + 1 :]]))
    assert [finding[:2] for finding in findings] == ["L4"]


def test_a_start_out_of_line_is_found_out() -> None:
    log = a_log()
    at = [index for index, event in enumerate(log) if event["type"] == "queue.updated"][1]
    log[at] = {**log[at], "queue": log[at]["queue"][::-1]}
    del log[where(log, "response.cancelled") : where(log, "response.cancelled") + 2]  # resp_3 waits on
    findings = audit_log(renumbered(log))
    assert any("resp_3 is next" in finding for finding in findings), findings


def test_what_was_cancelled_and_ends_otherwise_is_found_out() -> None:
    log = a_log()
    ending = max(index for index, event in enumerate(log) if event["type"] == "response.cancelled")
    findings = audit_log([*log[:ending], {**log[ending], "type": "response.interrupted"}, *log[ending + 1 :]])
    assert [finding[:2] for finding in findings] == ["L4"]


def test_who_jumps_the_queue_is_found_out() -> None:
    room = PureRoom()
    for text in ("one", "two", "three"):
        room.say(text)
    room.end("resp_1")
    log = room.log
    at = len(log) - 2
    jumped = [*log[:at], {**log[at], "response_id": "resp_3"}, *log[at + 1 :]]
    assert "L7" in {finding[:2] for finding in audit_log(jumped)}


def test_the_story_is_what_the_room_knows() -> None:
    room = PureRoom()
    room.say("one")
    room.say("two")
    room.produce("resp_1", item_added("m", content=[{"type": "output_text", "text": "a"}]), delta("b", "m"))
    room.produce("resp_1", {**delta("", "m"), "type": "response.output_text.done", "text": "abc"})
    story = story_at(room.log, room.state.seq)
    assert (story.text("resp_1"), story.running, story.queue) == ("abc", ["resp_1"], ["resp_2"])
    assert story.text_digest("resp_1") == room.response("resp_1").output.digest()
    room.decide(Recovered("restart"))
    story = story_at(room.log, room.state.seq)
    assert [item_id for _, item_id, _ in story.items] == list(room.state.items)
    assert story.statuses == {"resp_1": "interrupted", "resp_2": "in_progress"}
    assert story_at(room.log, 2).statuses == {}
