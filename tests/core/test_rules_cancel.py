"""Tests of roomcast/core/rules.py: `response.cancel`."""

from __future__ import annotations

from typing import Any

from roomcast.core.commands import ResponseCancel
from roomcast.core.intents import HungUp, Recovered
from roomcast.core.session import Member, Role
from tests.support.pure_room import ANN, BOB, PureRoom

MODERATOR = Member("mod", "Mo", Role.MODERATOR)


def cancel(response_id: str | None = None, **fields: Any) -> ResponseCancel:
    return ResponseCancel(id="c", room="lobby", response_id=response_id, **fields)


def refused(room: PureRoom, command: Any, by: Member = ANN) -> tuple[str, str | None]:
    refusal = room.refusal(command, by)
    return refusal.code, refusal.param


def test_the_running_response_is_cancelled_by_anybody_who_speaks() -> None:
    room = PureRoom()
    room.say("hi")
    assert room.cancel(by=BOB, reason="enough") == {"response_id": "resp_1", "status": "cancelling"}
    event = room.log[-1]
    assert (event["type"], event["by"], event["reason"]) == ("response.cancelling", BOB.by(), "enough")
    assert event["discard"] is False
    assert room.state.running == ["resp_1"]


def test_l5_who_cancels_second_is_told_the_same_and_changes_nothing() -> None:
    room = PureRoom()
    room.say("hi")
    room.cancel()
    before = room.state.seq
    assert room.cancel("resp_1", by=BOB) == {"response_id": "resp_1", "status": "cancelling"}
    assert room.state.seq == before


def test_l4_who_cancels_too_late_is_told_how_it_ended() -> None:
    room = PureRoom()
    completed = room.answered("hi", "Hello")
    cancelled = room.say("and?")["response_id"]
    room.cancel()
    room.end(cancelled, HungUp(1))
    before = room.state.seq
    assert room.cancel(completed) == {"response_id": completed, "status": "completed"}
    assert room.cancel(cancelled) == {"response_id": cancelled, "status": "cancelled"}
    assert room.state.seq == before


def test_a_waiting_prompt_is_withdrawn_by_its_author() -> None:
    room = PureRoom()
    room.say("runs")
    waiting = room.say("waits", by=BOB)["response_id"]
    assert room.cancel(waiting, by=BOB) == {"response_id": waiting, "status": "cancelled"}
    assert room.types()[-2:] == ["response.cancelled", "queue.updated"]
    assert room.log[-2]["reason"] == "withdrawn"
    assert (room.log[-1]["queue"], room.state.queue) == ([], [])


def test_a_waiting_prompt_of_somebody_else_is_withdrawn_by_moderators_only() -> None:
    room = PureRoom()
    room.say("runs")
    waiting = room.say("waits", by=BOB)["response_id"]
    assert refused(room, cancel(waiting), by=ANN) == ("forbidden", None)
    assert room.cancel(waiting, by=MODERATOR)["status"] == "cancelled"


def test_i7_there_must_be_something_to_cancel() -> None:
    room = PureRoom()
    assert refused(room, cancel()) == ("room_not_found", "room")
    assert refused(room, cancel(discard=True)) == ("room_not_found", "room")
    room.say("hi", respond="never")
    assert refused(room, cancel()) == ("no_running_response", None)
    assert refused(room, cancel("resp_gone")) == ("response_not_found", "response_id")


def test_a_queue_is_not_running() -> None:
    room = PureRoom()
    room.say("runs")
    room.say("waits")
    room.decide(Recovered("drain", start_next=False))
    assert refused(room, cancel()) == ("no_running_response", None)


def test_discarding_is_not_served_yet() -> None:
    room = PureRoom()
    room.say("hi")
    assert refused(room, cancel(discard=True)) == ("not_supported", "discard")
