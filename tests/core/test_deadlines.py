"""Tests of roomcast/core/deadlines.py, and of `debounce`, which opens one."""

from __future__ import annotations

from dataclasses import replace

from roomcast.core.deadlines import ORPHANED
from roomcast.core.intents import Due, HungUp, Recovered
from roomcast.core.queueing import queue_entries
from roomcast.core.room_state import RoomState
from roomcast.core.session import SYSTEM
from tests.support.pure_room import ANN, BOB, RULEBOOK, PureRoom

DEBOUNCED = replace(RULEBOOK, on_busy="debounce", debounce_s=1.5)


def a_burst() -> PureRoom:
    """`one` runs; `two` and `three` came in a burst."""
    room = PureRoom(DEBOUNCED)
    for text, by in (("one", ANN), ("two", BOB), ("three", ANN)):
        room.say(text, by=by)
    return room


def test_a_debounced_prompt_replaces_what_waits_and_names_how_long_it_waits_for_quiet() -> None:
    room = a_burst()
    assert room.log[-2]["type"] == "response.cancelled"
    assert (room.log[-2]["reason"], room.log[-2]["into"]) == ("superseded", "resp_3")
    assert [(entry["response_id"], entry["quiet_ms"]) for entry in queue_entries(room.state)] == [("resp_3", 1_500)]
    assert room.state.deadlines == {"quiet:resp_3": 1_500}, "the burst began it anew"
    assert room.refolded().deadlines == RoomState.load(room.state.dump()).deadlines == room.state.deadlines


def test_it_starts_when_it_is_quiet_and_nothing_runs() -> None:
    room = a_burst()
    assert [event["type"] for event in room.end("resp_1")] == ["response.completed"]
    [told, started, gone] = room.decide(Due("quiet:resp_3"))
    assert [told["type"], started["type"], gone["type"]] == ["queue.updated", "response.in_progress", "queue.updated"]
    assert (started["response_id"], gone["queue"], room.state.deadlines) == ("resp_3", [], {})


def test_quiet_while_another_answer_runs_is_remembered() -> None:
    room = a_burst()
    [told] = room.decide(Due("quiet:resp_3"))
    assert (told["type"], "quiet_ms" in told["queue"][0], room.refolded().deadlines) == ("queue.updated", False, {})
    assert room.end("resp_1")[1]["type"] == "response.in_progress"


def test_what_is_no_longer_waited_for_is_not_due() -> None:
    room = a_burst()
    assert room.decide(Due("quiet:resp_2"), Due("quiet:resp_1"), Due("quiet:nobody"), Due("tea")) == []
    room.cancel("resp_3")
    assert (room.decide(Due("quiet:resp_3")), room.state.deadlines) == ([], {})


def test_whoever_stands_behind_a_prompt_that_waits_for_quiet_waits_too_and_goes_on_without_it() -> None:
    room = a_burst()
    room.say("four", on_busy="enqueue")
    room.end("resp_1")
    assert room.state.running == []
    room.cancel("resp_3")
    assert room.state.running == ["resp_4"]


def test_an_interrupt_does_not_wait_for_quiet() -> None:
    room = a_burst()
    room.end("resp_1")
    assert room.say("now", on_busy="interrupt")["status"] == "in_progress"
    assert room.state.queue == ["resp_3"]


def test_a_restart_waits_for_quiet_anew_and_a_drain_starts_nothing() -> None:
    room = a_burst()
    room.decide(Recovered("restart"))
    assert (room.state.running, room.state.deadlines) == ([], {"quiet:resp_3": 1_500})
    room.draining = True
    room.decide(Due("quiet:resp_3"))
    assert (room.state.running, room.state.queue, room.state.deadlines) == ([], ["resp_3"], {})
    room.draining = False
    room.decide(Recovered("restart"))
    assert room.state.running == ["resp_3"]


def test_without_a_time_to_wait_it_is_the_latest() -> None:
    room = PureRoom(replace(DEBOUNCED, debounce_s=0))
    room.say("one")
    room.say("two")
    assert (room.state.deadlines, "quiet_ms" in room.log[-1]["queue"][0]) == ({}, False)


def test_a_room_that_nobody_watches_stops_what_runs_and_what_waits() -> None:
    room = PureRoom()
    for text in ("one", "two", "three"):
        room.say(text)
    room.answer("resp_1", "so far")
    [stopping, first, second, queue] = room.decide(Due(ORPHANED))
    assert (stopping["type"], stopping["by"], stopping["reason"]) == ("response.cancelling", SYSTEM.by(), "orphaned")
    assert [(left["response_id"], left["type"], left["reason"], left["by"]) for left in (first, second)] == [
        (left, "response.cancelled", "orphaned", SYSTEM.by()) for left in ("resp_2", "resp_3")
    ]
    assert queue["queue"] == []
    [ended] = room.end("resp_1", HungUp(after_ms=3))
    assert (ended["by"], ended["reason"], ended["receipt"]["upstream_closed_ms"]) == (SYSTEM.by(), "orphaned", 3)
    assert ended["response"]["output"][0]["content"][0]["text"] == "so far"
    assert room.decide(Due(ORPHANED)) == []


def test_what_somebody_stopped_is_not_stopped_again_by_nobody() -> None:
    room = PureRoom()
    room.say("one")
    room.cancel("resp_1", by=BOB)
    assert room.decide(Due(ORPHANED)) == []
    assert room.end("resp_1", HungUp(1))[0]["by"] == BOB.by()
