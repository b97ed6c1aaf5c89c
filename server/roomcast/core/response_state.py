"""Life of one response, as a table.

Rule: all transitions are in `_NEXT`. Code elsewhere asks `step`; nobody assigns a status.
A pair absent from the table is a bug in the caller, not a client's error.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

__all__ = ["ENDINGS", "Input", "Status", "step"]


class Status(StrEnum):
    """Where a response stands; the wire's words. The last five are terminal."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Input(StrEnum):
    """What can happen to it."""

    START = "start"  # its turn has come
    OUTPUT = "output"  # the upstream said something
    CANCEL = "cancel"  # somebody asked to stop it
    COMPLETE = "complete"  # the upstream said itself that this is all
    CUT_SHORT = "cut_short"  # a bound, a filter, or the stream ended without a finish
    FAIL = "fail"  # the upstream, the store or we failed
    HUNG_UP = "hung_up"  # the upstream's connection is closed after a cancel
    ABANDON = "abandon"  # whoever ran it is gone


_NEXT: Final[Mapping[Status, Mapping[Input, Status]]] = {
    Status.QUEUED: {
        Input.START: Status.IN_PROGRESS,
        Input.CANCEL: Status.CANCELLED,  # nothing runs yet, so nothing is left to unwind
    },
    Status.IN_PROGRESS: {
        Input.OUTPUT: Status.IN_PROGRESS,
        Input.CANCEL: Status.CANCELLING,
        Input.COMPLETE: Status.COMPLETED,
        Input.CUT_SHORT: Status.INCOMPLETE,
        Input.FAIL: Status.FAILED,
        Input.ABANDON: Status.INTERRUPTED,
    },
    # Whatever ends the stream now, the room sees one ending: cancelled. It was promised.
    Status.CANCELLING: {
        Input.CANCEL: Status.CANCELLING,
        Input.COMPLETE: Status.CANCELLED,
        Input.CUT_SHORT: Status.CANCELLED,
        Input.FAIL: Status.CANCELLED,
        Input.HUNG_UP: Status.CANCELLED,
        Input.ABANDON: Status.CANCELLED,
    },
    Status.COMPLETED: {},
    Status.INCOMPLETE: {},
    Status.FAILED: {},
    Status.CANCELLED: {},
    Status.INTERRUPTED: {},
}

ENDINGS: Final = frozenset(status for status, following in _NEXT.items() if not following)
"""Statuses that nothing follows."""


def step(status: Status, happened: Input) -> Status | None:
    """Return the status that follows, or None when this can no longer happen.

    None is the answer to a race that was lost (output behind a cancel, a second terminal);
    the caller drops its intent.
    """
    return _NEXT[status].get(happened)
