"""Tests of roomcast/core/outbox.py."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roomcast.core.outbox import Outbox, OutboxFull, Statistics


def test_frames_come_out_in_the_order_they_went_in() -> None:
    outbox = Outbox(100)
    outbox.put(b"one")
    outbox.defer(lambda: b"two")
    outbox.put(b"three")
    assert [outbox.take() for _ in range(3)] == [b"one", b"two", b"three"]
    assert not outbox


def test_what_does_not_fit_is_refused_and_the_rest_stays() -> None:
    outbox = Outbox(5)
    outbox.put(b"12345")
    with pytest.raises(OutboxFull):
        outbox.put(b"6")
    assert outbox.statistics() == Statistics(frames=1, size_bytes=5)


def test_taking_makes_room() -> None:
    outbox = Outbox(5)
    outbox.put(b"12345")
    outbox.take()
    outbox.put(b"67890")
    assert outbox.take() == b"67890"


def test_a_deferred_frame_is_made_when_its_turn_comes_and_does_not_count() -> None:
    outbox, state = Outbox(3), ["old"]
    outbox.defer(lambda: state[0].encode())
    outbox.put(b"abc")
    state[0] = "new, and longer than the bound"
    assert outbox.statistics() == Statistics(frames=2, size_bytes=3)
    assert outbox.take() == b"new, and longer than the bound"


def test_a_deferred_frame_that_nobody_waits_for_any_more_is_none() -> None:
    outbox = Outbox(3)
    outbox.defer(lambda: None)
    assert outbox.take() is None
    assert not outbox


def test_clearing_forgets_everything() -> None:
    outbox = Outbox(3)
    outbox.put(b"abc")
    outbox.defer(lambda: b"x")
    outbox.clear()
    assert outbox.statistics() == Statistics(frames=0, size_bytes=0)
    outbox.put(b"abc")


class OutboxMachine(RuleBasedStateMachine):
    """The model is a list; the outbox may only refuse, and only what does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(20)
        self.model: list[tuple[bytes, bool]] = []

    def ready_bytes(self) -> int:
        return sum(len(frame) for frame, deferred in self.model if not deferred)

    @rule(frame=st.binary(max_size=12))
    def put(self, frame: bytes) -> None:
        if self.ready_bytes() + len(frame) > 20:
            with pytest.raises(OutboxFull):
                self.outbox.put(frame)
        else:
            self.outbox.put(frame)
            self.model.append((frame, False))

    @rule(frame=st.binary(max_size=40))
    def defer(self, frame: bytes) -> None:
        self.outbox.defer(lambda: frame)
        self.model.append((frame, True))

    @precondition(lambda self: self.model)
    @rule()
    def take(self) -> None:
        assert self.outbox.take() == self.model.pop(0)[0]

    @invariant()
    def it_knows_how_full_it_is(self) -> None:
        assert self.outbox.statistics() == Statistics(len(self.model), self.ready_bytes())
        assert bool(self.outbox) is bool(self.model)


TestOutboxMachine = OutboxMachine.TestCase
