"""How far a log has been applied, and whether what arrives next may be.

    applied ...... seq | seq+1 ........ head
                       ^ an event must cover from here on, else something is missing

Invariants
    U1  Each number is applied once: what is covered already is dropped.
    U2  No hole: an event that begins behind the next number is not applied.
    U3  The position moves forward only, except by a join or a reset, which say so.

Not here: what to do about a gap (session.py joins again).
"""

from __future__ import annotations

from enum import Enum, auto

from roomcast.core.events import Cursor

__all__ = ["Coverage", "Verdict"]


class Verdict(Enum):
    """What to do with something that has arrived."""

    APPLY = auto()  # it is what follows
    DROP = auto()  # it says nothing new
    GAP = auto()  # something before it is missing: join again


class Coverage:
    """The run of numbers that has been applied, without a hole."""

    def __init__(self, after: Cursor | None = None) -> None:
        self._at = after
        self._complete = True
        self._rejoined_for_head = False

    @property
    def cursor(self) -> Cursor | None:
        """Everything up to here has been applied; None before the first join."""
        return self._at

    def start(self, at: Cursor, *, complete: bool | None = None) -> None:
        """Stand at `at`, because a join or a reset said so.

        Args:
            at: Position after what was applied or replaced.
            complete: Whether we are sent all kinds of events; None leaves it as it is. If not,
                a head beyond our position may only mean that what lies between was not for us.
        """
        if at != self._at:
            self._rejoined_for_head = False
        self._at = at
        if complete is not None:
            self._complete = complete

    def forget(self) -> None:
        """Give the position up; the next join begins with a snapshot."""
        self._at = None
        self._rejoined_for_head = False

    def take(self, seq: int, seq_from: int | None = None) -> Verdict:
        """Judge an event that covers `seq_from..seq`, and move behind it when it applies.

        An event that covers what we have and more cannot be cut in two, so it counts as a gap:
        joining again makes the server cut it where we stand.
        """
        assert self._at is not None, "no event of a room precedes the answer to the join"
        if seq <= self._at.seq:
            return Verdict.DROP
        if (seq if seq_from is None else seq_from) != self._at.seq + 1:
            return Verdict.GAP
        self._at = Cursor(self._at.epoch, seq)
        self._rejoined_for_head = False
        return Verdict.APPLY

    def head(self, at: Cursor) -> Verdict:
        """Judge a head beacon: it comes behind everything that it covers.

        A second beacon beyond us, after a join from exactly here that brought nothing, proves
        that what lies between is not for us; then it is coverage.
        """
        assert self._at is not None, "no signal of a room precedes the answer to the join"
        if at.epoch != self._at.epoch:
            return Verdict.GAP
        if at.seq <= self._at.seq:
            return Verdict.DROP
        if self._complete and not self._rejoined_for_head:
            self._rejoined_for_head = True
            return Verdict.GAP
        self._at = at
        self._rejoined_for_head = False
        return Verdict.APPLY
