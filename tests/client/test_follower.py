"""Tests of roomcast/client/follower.py, without a socket. F1 … F3 are the invariants of its header.

Random walks are in test_follower_machine.py.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from roomcast.client.comeback import LinkLost
from roomcast.client.follower import GAPS_IN_VAIN, Follower
from roomcast.client.inbox import Inbox
from roomcast.client.outbox import Outbox
from roomcast.core.events import Cursor, JsonObject
from tests.client.scripted import created, delta, snapshot, terminal


def at_once(waiting: Any) -> Any:
    """Run a coroutine that must not wait."""
    try:
        waiting.send(None)
    except StopIteration as done:
        return done.value
    waiting.close()
    raise AssertionError("it waits")


class Wire:
    """A follower between hands: what it asks for, and what its reader gets."""

    def __init__(self, after: Cursor | None = None, **options: int) -> None:
        self.inbox, self.outbox = Inbox(**options), Outbox()
        self.follower = Follower("lobby", {"items": 50}, after, self.inbox, self.outbox)
        self.follower.join()

    def asked(self) -> JsonObject:
        """The join that waits to be written."""
        command: JsonObject = orjson.loads(at_once(self.outbox.next_frame()))
        return command

    def asks_nothing(self) -> bool:
        return len(self.outbox) == 0

    def answer(self, seq: int, *, resumed: bool = False, epoch: str = "e1", **fields: Any) -> JsonObject:
        """Answer the join, and return it."""
        command = self.asked()
        result: JsonObject = {"epoch": epoch, "seq": seq, "head": seq, "resumed": resumed, "members": []}
        if not resumed:
            result |= {"snapshot": snapshot(), "reset": "expired"}
        self.say({"type": "reply", "id": command["id"], "ok": True, "result": result | fields})
        return command

    def say(self, *messages: JsonObject) -> None:
        for message in messages:
            self.follower.take(message)

    def got(self) -> list[tuple[str, int | None]]:
        """What the reader gets, as type and number."""
        return [(event.type.removeprefix("response."), event.seq) for event, _ in self.taken()]

    def taken(self) -> list[Any]:
        return [at_once(self.inbox.take()) for _ in range(len(self.inbox))]


def a_wire(seq: int = 0, **options: int) -> Wire:
    wire = Wire(None, **options)
    wire.answer(seq)
    return wire


def test_the_first_join_asks_for_a_snapshot_and_hands_no_reset_over() -> None:
    wire = Wire()
    command = wire.answer(7)
    assert (command["room"], command["items"], "after" in command) == ("lobby", 50, False)
    assert wire.got() == []
    assert wire.follower.first is not None
    assert wire.follower.first.at == Cursor("e1", 7)


def test_a_join_with_a_position_asks_for_what_follows_it() -> None:
    wire = Wire(after=Cursor("e1", 4))
    assert wire.answer(4, resumed=True)["after"] == {"epoch": "e1", "seq": 4}
    wire.say(delta(5, "a"))
    assert wire.got() == [("output_text.delta", 5)]


def test_a_position_that_cannot_be_continued_is_told_with_the_reason() -> None:
    wire = Wire(after=Cursor("e0", 4))
    wire.answer(9, reset="epoch_changed")
    (event, cursor), *rest = wire.taken()
    assert (event.type, event.data["reason"], cursor, rest) == ("room.reset", "epoch_changed", Cursor("e1", 9), [])


def test_events_are_handed_over_once_and_duplicates_dropped() -> None:
    """F2."""
    wire = a_wire()
    wire.say(delta(1, "a"), delta(1, "a"), delta(3, "bc", seq_from=2), delta(2, "b"), delta(4, "d"))
    assert wire.got() == [("output_text.delta", 1), ("output_text.delta", 3), ("output_text.delta", 4)]
    assert wire.asks_nothing()


def test_a_gap_is_answered_by_a_join_from_where_we_stand() -> None:
    """F3."""
    wire = a_wire()
    wire.say(delta(1, "a"), delta(3, "c"))
    assert wire.got() == [("output_text.delta", 1)]
    assert wire.answer(1, resumed=True)["after"] == {"epoch": "e1", "seq": 1}
    wire.say(delta(2, "b"), delta(3, "c"))
    assert wire.got() == [("output_text.delta", 2), ("output_text.delta", 3)]


def test_nothing_counts_between_a_join_and_its_answer() -> None:
    """F1."""
    wire = a_wire()
    wire.say(delta(2, "b"))
    head = {"type": "room.head", "epoch": "e1", "seq": 9}
    reset = {"type": "room.reset", "epoch": "e1", "seq": 9, "reason": "lagging", "snapshot": snapshot()}
    wire.say(delta(1, "a"), head, reset, {"type": "presence.updated", "count": 9})
    assert wire.got() == []
    wire.answer(0, resumed=True)
    assert wire.asks_nothing()
    wire.say(delta(1, "a"))
    assert wire.got() == [("output_text.delta", 1)]


def test_a_gap_that_joining_does_not_close_ends_in_a_snapshot() -> None:
    """F3."""
    wire = a_wire()
    for _ in range(GAPS_IN_VAIN):
        wire.say(delta(5, "e"))
        assert "after" in wire.answer(0, resumed=True)
    wire.say(delta(5, "e"))
    assert "after" not in wire.answer(5)
    assert wire.got() == [("room.reset", 5)]


def test_gaps_that_joining_does_close_are_never_too_many() -> None:
    """F3."""
    wire = a_wire()
    for seq in range(1, 3 * GAPS_IN_VAIN, 2):
        wire.say(delta(seq + 1, "b"))
        assert "after" in wire.answer(seq - 1, resumed=True)
        wire.say(delta(seq, "a"), delta(seq + 1, "b"))


def test_a_lost_tail_is_revealed_by_the_head() -> None:
    wire = a_wire()
    wire.say(delta(1, "a"), {"type": "room.head", "room": "lobby", "epoch": "e1", "seq": 2})
    assert wire.answer(1, resumed=True)["after"]["seq"] == 1


def test_a_head_is_coverage_for_who_did_not_ask_for_everything() -> None:
    wire = Wire()
    wire.answer(0, include=["tools"])
    wire.say({"type": "room.head", "epoch": "e1", "seq": 4}, delta(5, "a"))
    assert wire.asks_nothing()
    assert wire.got() == [("output_text.delta", 5)]


def test_a_reset_moves_us_and_is_handed_over() -> None:
    wire = a_wire()
    wire.say({"type": "room.reset", "epoch": "e2", "seq": 40, "reason": "lagging", "snapshot": snapshot()})
    wire.say(delta(41, "x"))
    assert wire.got() == [("room.reset", 40), ("output_text.delta", 41)]


def test_a_server_that_resumes_elsewhere_than_asked_is_not_believed() -> None:
    wire = Wire(after=Cursor("e1", 4))
    wire.answer(6, resumed=True)
    assert "after" not in wire.answer(8)
    assert wire.got() == [("room.reset", 8)]


def test_signals_are_handed_over_and_kept() -> None:
    wire = a_wire()
    wire.say({"type": "presence.updated", "room": "lobby", "joined": [{"id": "bob"}], "count": 2})
    wire.say({"type": "server.draining", "retry_after_ms": 1_500}, {"type": "session.expiring", "in_s": 9})
    wire.say({"type": "subscriber.lagging", "room": "lobby", "behind_events": 9, "behind_ms": 1, "policy": "coalesce"})
    kinds = ["presence.updated", "server.draining", "session.expiring", "subscriber.lagging"]
    assert wire.got() == [(kind, None) for kind in kinds]
    assert (wire.follower.roster.count, wire.follower.come_back_s, wire.follower.token_expires) == (2, 1.5, True)


def test_an_event_of_a_kind_that_nobody_knows_passes_whole() -> None:
    wire = a_wire()
    wire.say({"type": "response.hologram.delta", "seq": 1, "response_id": "resp_1", "beam": 7})
    assert wire.got() == [("hologram.delta", 1)]


def test_another_room_is_none_of_our_business() -> None:
    wire = a_wire()
    wire.say({**delta(1, "a"), "room": "kitchen"})
    assert wire.got() == []


def test_we_are_live_when_what_was_newest_at_the_join_is_applied() -> None:
    wire = Wire(after=Cursor("e1", 0))
    assert not wire.follower.live
    wire.answer(0, resumed=True, head=2)
    wire.say(delta(1, "a"))
    assert not wire.follower.live
    wire.say(delta(2, "b"))
    assert wire.follower.live


def test_a_reader_whose_place_was_given_up_begins_anew() -> None:
    wire = a_wire(hard=1)
    wire.say(created(1), delta(2, "a"), terminal(3))
    assert wire.inbox.lost
    wire.follower.forget()
    wire.follower.join()
    assert "after" not in wire.answer(3)
    assert wire.got() == [("room.reset", 3)]


@pytest.mark.parametrize(
    ("error", "status", "retry_after_s"),
    [
        ({"code": "unauthenticated", "message": "who?"}, 401, None),
        ({"code": "forbidden", "message": "no"}, 403, None),
        ({"code": "room_not_found", "message": "no"}, 404, None),
        ({"code": "not_supported", "message": "no"}, 501, None),
        ({"code": "draining", "message": "later", "retryable": True, "retry_after_ms": 2_000}, 503, 2.0),
        ({"code": "brand_new_code", "message": "?"}, 500, None),
    ],
)
def test_a_refused_join_is_a_loss_with_the_status_of_its_code(
    error: JsonObject, status: int, retry_after_s: float | None
) -> None:
    wire = Wire()
    command = wire.asked()
    with pytest.raises(LinkLost) as caught:
        wire.say({"type": "reply", "id": command["id"], "ok": False, "error": error})
    assert (caught.value.loss.status, caught.value.loss.retry_after_s) == (status, retry_after_s)


@pytest.mark.parametrize("result", [{}, {"epoch": "e1"}, {"epoch": "e1", "seq": 1, "head": 1, "resumed": False}])
def test_an_answer_to_the_join_that_makes_no_sense_is_a_loss(result: JsonObject) -> None:
    wire = Wire()
    command = wire.asked()
    with pytest.raises(LinkLost, match="makes no sense"):
        wire.say({"type": "reply", "id": command["id"], "ok": True, "result": result})
