"""Tests of roomcast/client/events.py."""

from __future__ import annotations

from roomcast.client.events import Asked, RoomEvent, as_object
from tests.client.scripted import as_event, delta, terminal


def test_events_signals_and_resets_can_be_told_apart() -> None:
    event = as_event(delta(3, "a"))
    signal = RoomEvent("presence.updated", None, None, {"type": "presence.updated"})
    reset = RoomEvent("room.reset", 7, 7, {"type": "room.reset", "seq": 7})
    assert [(one.is_signal, one.is_reset) for one in (event, signal, reset)] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_a_delta_gives_its_text_and_others_give_none() -> None:
    assert (as_event(delta(3, "a")).delta, as_event(terminal(4)).delta) == ("a", "")
    assert as_event({"type": "response.reasoning_text.delta", "seq": 1, "delta": "hm"}).delta == ""


def test_terminals_are_known_by_their_type() -> None:
    endings = ("completed", "incomplete", "failed", "cancelled", "interrupted")
    assert all(as_event(terminal(1, ending)).is_terminal for ending in endings)
    assert not as_event(delta(1, "a")).is_terminal


def test_what_was_asked_is_read_from_the_result() -> None:
    asked = Asked.from_json({"item_id": "msg_1", "seq": 4, "response_id": "resp_1", "status": "queued", "position": 2})
    assert asked == Asked("msg_1", 4, "resp_1", "queued", 2, None)


def test_only_an_object_counts_as_one() -> None:
    assert [as_object(value) for value in ({"a": 1}, [1], None, "x")] == [{"a": 1}, {}, {}, {}]
