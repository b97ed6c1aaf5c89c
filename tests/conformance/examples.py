"""Small builders for what goes into a store, and a clock that stands still until it is told."""

from __future__ import annotations

from collections.abc import Sequence

from roomcast.core.events import Record
from roomcast.core.ports import Append, Hold, ItemRow, Receipt, ReceiptKey

EPOCH = "e1"


class ManualClock:
    """Both clocks, moved by hand; `jumped_ms` is how far the wall clock is from where it should be."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self.at_ms = now_ms
        self.jumped_ms = 0

    def now_ms(self) -> int:
        return self.at_ms + self.jumped_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000


def a_record(seq: int, data: bytes | None = None, kind: str = "response.output_text.delta") -> Record:
    return Record(seq, kind, data if data is not None else b'{"seq":%d}' % seq)


def a_batch(
    room: str = "lobby",
    *,
    on: int = 0,
    events: int = 1,
    epoch: str = EPOCH,
    records: Sequence[Record] | None = None,
    receipts: Sequence[Receipt] = (),
    holds: Sequence[Hold] = (),
    released: Sequence[str] = (),
    items: Sequence[ItemRow] = (),
    checkpoint: bytes | None = None,
    unfinished: bool = False,
    title: str | None = None,
    sync: bool = False,
) -> Append:
    """A batch of `events` plain events on head `on`, or of `records`."""
    return Append(
        room=room,
        epoch=epoch,
        expected_seq=on,
        records=[a_record(on + number) for number in range(1, events + 1)] if records is None else records,
        receipts=receipts,
        holds=holds,
        released=released,
        items=items,
        checkpoint=checkpoint,
        unfinished=unfinished,
        title=title,
        sync=sync,
    )


def a_hold(room: str, response_id: str, node: str) -> Hold:
    return Hold(room, response_id, node)


def a_key(command_id: str = "c1", *, room: str = "lobby", member: str = "ann") -> ReceiptKey:
    return ReceiptKey(room, member, command_id)


def a_receipt(
    command_id: str = "c1", *, room: str = "lobby", expires_at: int = 2_000_000, result: bytes = b"{}"
) -> Receipt:
    return Receipt(
        a_key(command_id, room=room), digest=b"\x00\xff" + command_id.encode(), result=result, expires_at=expires_at
    )


def an_item(item_id: str, seq: int, data: bytes | None = None) -> ItemRow:
    return ItemRow(item_id, seq, data if data is not None else b'{"id":"%s"}' % item_id.encode())
