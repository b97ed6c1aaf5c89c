"""What follows when a deadline of a room is over: `Due(name)`.

    RoomState.deadlines   {name: after so many milliseconds}, open since the event that named it
    room/timers.py        counts, monotonically, and says Due(name)
    here                  what then follows, if it still holds

Names: `quiet:<response_id>`, a waiting prompt that waits for quiet; ORPHANED, which is no
deadline of the state, because viewers are not in the log: its grace is counted from the last
viewer's leaving.
"""

from __future__ import annotations

from typing import Final

from roomcast.core import endings
from roomcast.core.batch import Batch
from roomcast.core.queueing import cancel_running, queue_changed, start_next
from roomcast.core.room_state import QUIET
from roomcast.core.session import SYSTEM

__all__ = ["ORPHANED", "due"]

ORPHANED: Final = "orphaned"
"""Name of the deadline, and the reason that is told: nobody was left to watch."""


def due(batch: Batch, name: str) -> None:
    """Do what is due, unless it no longer is."""
    if name == ORPHANED:
        _stop_everything(batch)
    elif name in batch.state.deadlines:
        queue_changed(batch, changes={name.removeprefix(QUIET): {"quiet_ms": 0}})
        start_next(batch)


def _stop_everything(batch: Batch) -> None:
    """Cancel what runs and what waits: nobody who asked for it is there to see it."""
    state = batch.state
    cancel_running(batch, SYSTEM, ORPHANED)
    waiting = [state.responses[queued] for queued in state.queue]
    for response in waiting:
        batch.emit(endings.orphaned(response, ORPHANED, batch.now_ms))
    if waiting:
        queue_changed(batch)
