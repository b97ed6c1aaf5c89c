"""What an append means, for every adapter: the compare in compare-and-append.

Not here: how the batch is written, and how several become one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from roomcast.core.ports import Append, Conflict, Head

__all__ = ["advance", "check"]


def check(batches: Sequence[Append]) -> None:
    """Assert what the port asks of its caller: one batch a room, records numbered from its head."""
    assert len({batch.room for batch in batches}) == len(batches), "one batch a room in one append"
    for batch in batches:
        assert batch.epoch, f"room {batch.room}: a log has a name"
        following = enumerate(batch.records, batch.expected_seq + 1)
        assert all(record.seq == seq for seq, record in following), f"room {batch.room}: records do not follow the head"


def advance(head: Head | None, batch: Append) -> Head | Conflict:
    """Return the head after `batch`, or where the log stands instead.

    Args:
        head: The room's head, or None when there is no such room. Then the batch makes it,
            and its epoch becomes the name; a batch that expected more conflicts with an
            empty log without a name.
        batch: What is to be appended.
    """
    if head is None:
        head = Head(batch.room, batch.epoch if batch.expected_seq == 0 else "", seq=0, floor=0)
    if (head.epoch, head.seq) != (batch.epoch, batch.expected_seq):
        return Conflict(head)
    return Head(head.room, head.epoch, head.seq + len(batch.records), head.floor)
