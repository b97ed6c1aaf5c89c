"""Tests of roomcast/core/tail.py."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roomcast.core.events import Record
from roomcast.core.tail import Tail

FAR = 10**9


def records(first: int, *sizes: int) -> list[Record]:
    return [Record(seq, "a", b"x" * size) for seq, size in enumerate(sizes, first)]


def a_tail(*sizes: int, head: int = 0, limit_bytes: int = 100, limit_events: int = 100) -> Tail:
    tail = Tail(head, limit_bytes=limit_bytes, limit_events=limit_events)
    tail.extend(records(head + 1, *sizes))
    return tail


def test_after_gives_exactly_what_the_reader_has_not_seen() -> None:
    assert a_tail(1, 2, 3, head=10).after(11, FAR) == records(12, 2, 3)


def test_a_reader_at_the_head_has_nothing_to_read() -> None:
    assert a_tail(1, 2).after(2, FAR) == []
    assert a_tail(head=5).after(5, FAR) == []


def test_a_position_below_the_floor_is_refused() -> None:
    tail = a_tail(40, 40, 40)
    assert (tail.floor, tail.size_bytes) == (1, 80)
    assert tail.after(0, FAR) is None
    assert tail.after(1, FAR) == records(2, 40, 40)


def test_a_position_from_the_future_is_refused() -> None:
    assert a_tail(1).after(2, FAR) is None


def test_the_newest_record_stays_even_over_the_bound() -> None:
    tail = a_tail(1, 500)
    assert tail.after(1, FAR) == records(2, 500)


def test_the_number_of_records_is_bounded_as_well() -> None:
    tail = a_tail(1, 1, 1, 1, limit_events=3)
    assert (tail.floor, tail.head) == (1, 4)


def test_a_batch_stops_before_it_passes_the_limit_but_is_never_empty() -> None:
    tail = a_tail(10, 10, 10)
    assert len(tail.after(0, 20) or ()) == 2
    assert len(tail.after(0, 19) or ()) == 1
    assert len(tail.after(0, 1) or ()) == 1


def test_a_record_that_does_not_follow_the_head_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="record 3 cannot follow 1"):
        a_tail(1).extend(records(3, 1))


class TailMachine(RuleBasedStateMachine):
    """The model is a list that never forgets; the tail may only forget a prefix."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = Tail(0, limit_bytes=64, limit_events=6)
        self.model: list[Record] = []
        self.readers: dict[int, int] = {}

    @rule(sizes=st.lists(st.integers(0, 40), max_size=8))
    def extend(self, sizes: list[int]) -> None:
        new = records(len(self.model) + 1, *sizes)
        self.model += new
        self.tail.extend(new)

    @rule(reader=st.integers(0, 3), limit_bytes=st.integers(1, 80))
    def read(self, reader: int, limit_bytes: int) -> None:
        at = self.readers.get(reader, 0)
        got = self.tail.after(at, limit_bytes)
        if got is None:  # T2: refused, and only for a position that was dropped
            assert at < self.tail.floor
            self.readers[reader] = self.tail.head
            return
        assert got == self.model[at : at + len(got)]  # T2: exact
        assert (got == []) == (at == len(self.model))
        assert len(got) <= 1 or sum(len(record.data) for record in got) <= limit_bytes
        self.readers[reader] = at + len(got)

    @invariant()
    def what_is_held_ends_at_the_head_and_is_bounded(self) -> None:
        tail = self.tail
        held = tail.after(tail.floor, FAR)
        assert held is not None
        assert held == self.model[tail.floor :]  # T1
        assert tail.head == len(self.model)
        assert tail.size_bytes == sum(len(record.data) for record in held)
        assert len(held) <= 1 or (tail.size_bytes <= 64 and len(held) <= 6)  # T3
        assert bool(held) == bool(self.model)


TestTailMachine = TailMachine.TestCase
