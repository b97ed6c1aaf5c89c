"""Merging neighbouring deltas: once before their commit, and again for readers that lag.

Before a commit, deltas become one event with one number. For a lagging reader, committed
deltas become one frame that covers `seq_from..seq`.

Invariants
    M1  Only neighbours merge, only `…delta` types, and only if every field is equal but
        `delta` and `logprobs`, which are joined, and `at`, `sequence_number` and `seq`,
        of which the last stays.
    M2  The text is equal to the text of the parts, in order; nothing is lost or moved.
    M3  The text (of records: all) that one merged event was made of has at most `limit_bytes`,
        unless a single one had more already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from roomcast.core.events import JsonObject, Record, as_array, decode_event, encode, is_delta

__all__ = ["merge_drafts", "merge_records"]

_JOINED: Final = frozenset({"delta", "logprobs", "at", "sequence_number", "seq", "seq_from"})


def merge_drafts(drafts: Iterable[JsonObject], *, limit_bytes: int) -> list[JsonObject]:
    """Merge runs of deltas that have no number yet. The drafts given are not changed."""
    merged: list[JsonObject] = []
    run: list[JsonObject] = []
    size = 0
    for draft in drafts:
        length = _joined_bytes(draft) if _can_merge(draft) else 0
        if run and size + length <= limit_bytes and _same(run[0], draft):
            run.append(draft)
            size += length
            continue
        if run:
            merged.append(_joined(run))
        run, size = [draft], length
    if run:
        merged.append(_joined(run))
    return merged


def merge_records(records: Sequence[Record], *, limit_bytes: int) -> list[Record]:
    """Merge runs of committed deltas; a merged record has the last `seq` and says `seq_from`."""
    merged: list[Record] = []
    run: list[JsonObject] = []
    size = 0
    first: Record | None = None
    for record in records:
        event = decode_event(record) if is_delta(record.type) else None
        if run and event is not None and size + len(record.data) <= limit_bytes and _follows(run, event):
            run.append(event)
            size += len(record.data)
            continue
        if first is not None:
            merged.append(_covering(first, run))
        first, run, size = record, [] if event is None else [event], len(record.data)
    if first is not None:
        merged.append(_covering(first, run))
    return merged


def _covering(first: Record, run: Sequence[JsonObject]) -> Record:
    """One record for a run; `first` is the run's first as it was, and the answer where nothing merged."""
    if len(run) < 2:
        return first
    event: JsonObject = {**_joined(run), "seq_from": _first_seq(run[0])}
    return Record(event["seq"], event["type"], encode(event))


def _first_seq(event: JsonObject) -> int:
    seq: int = event["seq_from"] if "seq_from" in event else event["seq"]
    return seq


def _follows(run: Sequence[JsonObject], event: JsonObject) -> bool:
    """Whether a committed delta goes on where a run stops, with no event between them."""
    return run[-1]["seq"] + 1 == _first_seq(event) and _same(run[0], event)


def _can_merge(event: JsonObject) -> bool:
    logprobs = event.get("logprobs")
    return (
        is_delta(event["type"])
        and isinstance(event.get("delta"), str)
        and (logprobs is None or as_array(logprobs) is not None)
    )


def _same(one: JsonObject, other: JsonObject) -> bool:
    """Whether two events differ only in what merging joins."""
    if one["type"] != other["type"] or not _can_merge(one) or not _can_merge(other):
        return False
    if one.keys() - _JOINED != other.keys() - _JOINED:
        return False
    return all(value == other[name] for name, value in one.items() if name not in _JOINED)


def _joined_bytes(event: JsonObject) -> int:
    """Bytes that an event brings to a run: its text, and its logprobs if it has any."""
    logprobs = event.get("logprobs")
    return len(event["delta"].encode("utf-8", "replace")) + (len(encode(logprobs)) if logprobs else 0)


def _joined(run: Sequence[JsonObject]) -> JsonObject:
    if len(run) == 1:
        return run[0]
    event = {**run[-1], "delta": "".join([part["delta"] for part in run])}
    logprobs = [entry for part in run for entry in part.get("logprobs") or ()]
    if logprobs:
        event["logprobs"] = logprobs
    return event
