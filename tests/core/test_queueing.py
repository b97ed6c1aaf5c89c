"""Tests of roomcast/core/queueing.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roomcast.core.batch import Batch
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.intents import HungUp, Recovered
from roomcast.core.queueing import Turn, admit, queue_entries, require_served, start_next
from roomcast.core.response_state import Status
from roomcast.core.room_state import RoomState
from roomcast.core.session import Member, Role
from roomcast.core.snapshot import response_object
from tests.support.pure_room import ANN, BOB, COMPLETED, RULEBOOK, PureRoom

LATER = ["rollback", "alongside", "steer"]
HUNG_UP = HungUp(after_ms=1)
MODERATOR = Member("mod", "Mo", Role.MODERATOR)


def admitted(room: PureRoom, wanted: str | None = None) -> Turn | str:
    try:
        return admit(Batch(room.state, room.rulebook, room.now_ms, draining=room.draining), wanted, ANN)
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


# ---- taking turns ----------------------------------------------------------------------------


def line(room: PureRoom) -> list[str]:
    """The prompts that wait, in the order shown, which is the order in which they are served."""
    shown = [entry["response_id"] for entry in queue_entries(room.state)]
    assert shown == room.state.queue == room.refolded().queue
    texts = {item.id: item.body()["content"][0]["text"] for item in room.state.items.values()}
    return [texts[room.response(waiting).prompt_id or ""] for waiting in shown]


def served(room: PureRoom) -> list[str]:
    """The prompts that wait, in the order in which they are answered when each answer just ends."""
    texts: list[str] = []
    while room.state.running:
        for event in room.end(room.state.running[0], HUNG_UP if stopping(room) else COMPLETED):
            if event["type"] == "response.in_progress":
                texts += [str(said.body()["content"][0]["text"]) for said in [room.state.items[prompt(event)]]]
    return texts


def stopping(room: PureRoom) -> bool:
    return room.response(room.state.running[0]).status is Status.CANCELLING


def prompt(event: JsonObject) -> str:
    item_id: str = event["response"]["item_id"]
    return item_id


def test_members_take_turns() -> None:
    room = PureRoom()
    for text in ("a1", "a2", "a3"):
        room.say(text)
    assert room.say("b1", by=BOB)["position"] == 1, "ann has her turn now"
    assert room.say("b2", by=BOB)["position"] == 3
    assert room.say("m1", by=MODERATOR)["position"] == 2, "behind who came before with as many turns"
    assert line(room) == ["b1", "m1", "a2", "b2", "a3"]
    assert served(room) == ["b1", "m1", "a2", "b2", "a3"]


def test_who_is_passed_is_passed_by_newcomers_only_and_never_twice_by_one() -> None:
    """However much others ask, a first prompt stays where it is."""
    room = PureRoom()
    room.say("a1")
    room.say("b1", by=BOB)
    for number in range(5):
        room.say(f"c{number}", by=MODERATOR)
    assert line(room)[:2] == ["b1", "c0"]
    room.end("resp_1")
    room.say("a2")
    assert line(room)[:2] == ["c0", "a2"]


# ---- interrupt -------------------------------------------------------------------------------


def test_an_interrupt_stops_what_runs_and_is_next() -> None:
    room = PureRoom()
    first = room.say("runs")["response_id"]
    room.answer(first, "some")
    room.say("waits", by=BOB)
    assert room.say("now", by=BOB, on_busy="interrupt") == {
        "item_id": "msg_3",
        "seq": 10,
        "response_id": "resp_3",
        "status": "queued",
        "on_busy": "interrupt",
        "position": 1,
    }
    assert room.types()[-4:] == ["item.created", "response.created", "response.cancelling", "queue.updated"]
    cancelling = room.log[-2]
    assert (cancelling["response_id"], cancelling["by"], cancelling["reason"]) == (first, BOB.by(), "interrupt")
    assert cancelling["discard"] is False
    assert line(room) == ["now", "waits"]
    [ended, started, _] = room.end(first, HUNG_UP)
    assert (ended["receipt"]["by"], ended["receipt"]["reason"]) == (BOB.by(), "interrupt")
    assert ended["response"]["output"][0]["content"][0]["text"] == "some"
    assert started["response_id"] == "resp_3"


def test_nobody_passes_an_interrupt_but_another_one() -> None:
    room = PureRoom()
    room.say("runs")
    room.say("waits")
    room.say("now", on_busy="interrupt")
    assert room.say("other", by=BOB)["position"] == 2
    assert line(room) == ["now", "other", "waits"]
    room.say("no, now", by=BOB, on_busy="interrupt")
    assert room.types().count("response.cancelling") == 1, "what is stopped is not stopped again"
    assert line(room) == ["no, now", "now", "other", "waits"]


def test_an_interrupt_that_finds_nothing_running_starts_before_what_waits() -> None:
    room = PureRoom()
    room.say("runs")
    room.say("waits")
    room.decide(Recovered("owner_lost", start_next=False))
    assert room.say("now", on_busy="interrupt")["status"] == "in_progress"
    assert (room.state.running, line(room)) == (["resp_3"], ["waits"])


# ---- latest and merge ------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "reason"), [("latest", "superseded"), ("merge", "merged")])
def test_what_waited_leaves_the_queue_for_the_newest(policy: Any, reason: str) -> None:
    room = PureRoom(replace(RULEBOOK, on_busy=policy))
    first = room.say("runs")["response_id"]
    room.say("waits", by=BOB)
    result = room.say("newest")
    assert (result["status"], result["position"], result["on_busy"]) == ("queued", 1, policy)
    assert room.types()[-4:] == ["item.created", "response.created", "response.cancelled", "queue.updated"]
    left = room.log[-2]
    assert (left["response_id"], left["reason"], left["into"], left["by"]) == ("resp_2", reason, "resp_3", ANN.by())
    assert left["receipt"] == {"by": ANN.by(), "reason": reason, "output_tokens": 0, "upstream_closed_ms": 0}
    assert response_object(room.response("resp_2"))["into"] == "resp_3"
    assert (room.state.running, line(room)) == ([first], ["newest"]), "what runs goes on"
    assert room.state.items.keys() == {"msg_1", "msg_2", "msg_3"}, "every message is kept"
    assert room.response("resp_3").merged == (("msg_2",) if policy == "merge" else ())
    assert RoomState.load(room.state.dump()).dump() == room.state.dump() == room.refolded().dump()


@pytest.mark.parametrize("policy", ["latest", "merge"])
def test_a_policy_that_the_room_does_not_have_concerns_ones_own_prompts_only(policy: Any) -> None:
    room = PureRoom()
    for text, by in (("runs", ANN), ("a", ANN), ("b", BOB), ("c", MODERATOR)):
        room.say(text, by=by)
    assert room.say("a again", on_busy=policy)["position"] == 3, "it takes the place of ann's own"
    assert line(room) == ["b", "c", "a again"]
    room.say("all", by=MODERATOR, on_busy=policy)
    assert line(room) == ["all"], "a moderator may do it to everybody's"


@pytest.mark.parametrize("policy", ["latest", "merge"])
def test_in_a_free_room_no_policy_changes_anything(policy: Any) -> None:
    room = PureRoom(replace(RULEBOOK, on_busy=policy))
    assert room.say("hi") == {"item_id": "msg_1", "seq": 2, "response_id": "resp_1", "status": "in_progress"}


def test_a_merge_of_a_merge_holds_all_prompts_once() -> None:
    room = PureRoom()
    room.say("runs")
    room.say("one")
    room.say("two", on_busy="merge")
    room.ask(parent_id="msg_2")
    room.say("three", on_busy="merge")
    assert room.response("resp_5").merged == ("msg_2", "msg_3")
    assert RoomState.load(room.state.dump()).responses["resp_5"].merged == ("msg_2", "msg_3"), "also after a restart"
    assert line(room) == ["three"]


def test_the_newest_makes_space_for_itself_and_what_is_merged_is_bounded_like_the_queue() -> None:
    room = PureRoom(queue_length=2)
    for text in ("runs", "one", "two"):
        room.say(text)
    assert admitted(room, "interrupt") == "queue_full"
    assert admitted(room, "latest") == Turn(queued=True, applied="latest")
    assert admitted(room, "merge") == "queue_full"
    room.cancel("resp_3")
    newest = room.say("three", on_busy="merge")["response_id"]
    assert room.response(newest).merged == ("msg_2",)
    assert admitted(room, "merge") == "queue_full", "two prompts wait, as one"
    assert admitted(room) == Turn(queued=True, applied="enqueue")


def test_a_full_queue_of_others_stays_full_for_the_latest_of_one_member() -> None:
    room = PureRoom(queue_length=1)
    room.say("runs")
    room.say("waits", by=BOB)
    assert admitted(room, "latest") == "queue_full"


def test_merged_prompts_are_kept_as_long_as_they_wait() -> None:
    room = PureRoom(state_items=5)
    room.say("runs")
    room.say("one")
    room.say("two", on_busy="merge")
    for number in range(9):
        room.say(f"aside {number}", respond="never")
    assert {"msg_1", "msg_2", "msg_3"} <= room.state.items.keys()


def start_all(room: PureRoom) -> list[str]:
    batch = Batch(room.state, room.rulebook, room.now_ms, draining=room.draining)
    start_next(batch)
    return [event["type"] for event in room.commit(batch)]
