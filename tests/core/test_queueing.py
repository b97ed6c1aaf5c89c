"""Tests of roomcast/core/queueing.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomcast.core.batch import Batch
from roomcast.core.errors import Refusal
from roomcast.core.intents import Recovered
from roomcast.core.queueing import Turn, admit, queue_entries, require_served, start_next
from tests.support.pure_room import ANN, BOB, RULEBOOK, PureRoom

LATER = ["interrupt", "rollback", "alongside", "steer", "latest", "merge", "debounce"]


def admitted(room: PureRoom, wanted: str | None = None) -> Turn | str:
    try:
        return admit(Batch(room.state, room.rulebook, room.now_ms, draining=room.draining), wanted)
    except Refusal as refusal:
        return refusal.code


def test_a_free_room_answers_at_once_whatever_the_policy() -> None:
    assert admitted(PureRoom()) == admitted(PureRoom(), "reject") == Turn(queued=False, applied=None)


def test_a_busy_room_lets_prompts_wait_or_turns_them_away() -> None:
    room = PureRoom()
    room.say("hi")
    assert admitted(room) == admitted(room, "enqueue") == Turn(queued=True, applied="enqueue")
    assert admitted(room, "reject") == "room_busy"


def test_the_asker_comes_before_the_room_and_the_room_before_the_server() -> None:
    room = PureRoom(replace(RULEBOOK, on_busy="reject"))
    room.say("hi")
    assert room.state.settings["on_busy"] == "reject"
    room.rulebook = RULEBOOK
    assert admitted(room) == "room_busy"
    assert admitted(room, "enqueue") == Turn(queued=True, applied="enqueue")
    room.state.settings = {}
    assert admitted(room) == Turn(queued=True, applied="enqueue")


def test_r9_the_queue_is_bounded() -> None:
    room = PureRoom(queue_length=2)
    for text in ("runs", "waits", "waits too"):
        room.say(text)
    assert admitted(room) == "queue_full"


def test_nothing_new_starts_or_waits_while_the_server_drains() -> None:
    room = PureRoom()
    room.draining = True
    assert admitted(room) == "draining"


def test_who_waits_goes_first_also_when_nothing_runs() -> None:
    """A drain ends what runs and leaves the queue for the next process."""
    room = PureRoom()
    room.say("runs")
    room.say("waits")
    room.decide(Recovered("drain", start_next=False))
    assert (room.state.running, len(room.state.queue)) == ([], 1)
    assert admitted(room) == Turn(queued=True, applied="enqueue")


@pytest.mark.parametrize("policy", LATER)
def test_policies_of_later_versions_are_refused_by_name_also_in_a_free_room(policy: str) -> None:
    with pytest.raises(Refusal, match=f"on_busy {policy} is not served yet") as refused:
        require_served(policy)
    assert (refused.value.code, refused.value.param) == ("not_supported", "on_busy")
    assert admitted(PureRoom(), policy) == "not_supported"


def test_no_policy_is_no_policy_of_a_later_version() -> None:
    require_served(None)


def test_the_queue_shows_who_waits_in_order() -> None:
    room = PureRoom()
    room.say("runs")
    room.say("second", by=BOB)
    room.now_ms = 2_000
    room.say("third", profile="default")
    assert queue_entries(room.state) == room.log[-1]["queue"]
    assert queue_entries(room.state) == [
        {"response_id": "resp_2", "item_id": "msg_2", "by": BOB.by(), "at": 1_000, "profile": "default"},
        {"response_id": "resp_3", "item_id": "msg_3", "by": ANN.by(), "at": 2_000, "profile": "default"},
    ]


def test_the_first_in_line_starts_when_nothing_runs() -> None:
    room = PureRoom()
    for text in ("runs", "second", "third"):
        room.say(text)
    assert start_all(room) == []
    room.decide(Recovered("drain", start_next=False))
    assert start_all(room) == ["response.in_progress", "queue.updated"]
    assert (room.state.running, room.state.queue) == (["resp_2"], ["resp_3"])
    assert room.log[-1]["queue"] == queue_entries(room.state)
    assert start_all(room) == []


def test_nobody_in_line_starts_while_the_server_drains() -> None:
    room = PureRoom()
    room.say("runs")
    room.say("waits")
    room.decide(Recovered("drain", start_next=False))
    room.draining = True
    assert start_all(room) == []


def start_all(room: PureRoom) -> list[str]:
    batch = Batch(room.state, room.rulebook, room.now_ms, draining=room.draining)
    start_next(batch)
    return [event["type"] for event in room.commit(batch)]
