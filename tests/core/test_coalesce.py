"""Tests of roomcast/core/coalesce.py."""

from __future__ import annotations

from itertools import groupby, pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.core.coalesce import merge_drafts, merge_records
from roomcast.core.events import JsonObject, Record, decode_event, encode_events, is_delta, number
from tests.support.pure_room import delta, item_added

FAR = 10**9
DONE: JsonObject = {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "x"}


def merged_events(*drafts: JsonObject, limit_bytes: int = FAR) -> list[JsonObject]:
    return [decode_event(record) for record in merge_records(committed(*drafts), limit_bytes=limit_bytes)]


def committed(*drafts: JsonObject) -> list[Record]:
    return encode_events(
        [{**event, "sequence_number": event["seq"] + 6} for event in number("lobby", 40, 1_000, drafts)]
    )


# ---- before a commit -------------------------------------------------------------------------


def test_neighbouring_deltas_become_one() -> None:
    assert merge_drafts([delta("Hel", "m"), delta("lo", "m")], limit_bytes=FAR) == [delta("Hello", "m")]


def test_the_drafts_that_are_merged_stay_as_they_are() -> None:
    drafts = [delta("Hel", "m"), delta("lo", "m")]
    merge_drafts(drafts, limit_bytes=FAR)
    assert drafts == [delta("Hel", "m"), delta("lo", "m")]


@pytest.mark.parametrize(
    "between",
    [
        DONE,
        delta("x", "other"),
        delta("x", "m", index=1),
        delta("x", "m", content_index=1),
        {**delta("x", "m"), "type": "response.refusal.delta"},
        delta("x", "m", new_field=1),
        {**delta("x", "m"), "delta": None},
        delta("x", "m", logprobs=5),
    ],
)
def test_nothing_merges_across_something_else(between: JsonObject) -> None:
    drafts = [delta("a", "m"), between, delta("b", "m")]
    assert merge_drafts(drafts, limit_bytes=FAR) == drafts


def test_logprobs_are_joined() -> None:
    drafts = [delta("a", "m", logprobs=[1]), delta("b", "m", logprobs=[]), delta("c", "m", logprobs=[2, 3])]
    assert merge_drafts(drafts, limit_bytes=FAR) == [delta("abc", "m", logprobs=[1, 2, 3])]


def test_logprobs_survive_a_neighbour_without_any() -> None:
    drafts = [delta("a", "m", logprobs=[1]), delta("b", "m"), delta("c", "m", logprobs=None)]
    assert merge_drafts(drafts, limit_bytes=FAR) == [delta("abc", "m", logprobs=[1])]


def test_merging_stops_at_the_bound_which_is_in_bytes() -> None:
    drafts = [delta("éé", "m"), delta("é", "m"), delta("é", "m")]
    assert [draft["delta"] for draft in merge_drafts(drafts, limit_bytes=6)] == ["ééé", "é"]
    assert [draft["delta"] for draft in merge_drafts(drafts, limit_bytes=1)] == ["éé", "é", "é"]


def test_logprobs_count_towards_the_bound() -> None:
    drafts = [delta("a", "m", logprobs=[12345]), delta("b", "m", logprobs=[12345])]
    assert len(merge_drafts(drafts, limit_bytes=10)) == 2


def test_nothing_merges_to_nothing() -> None:
    assert merge_drafts([], limit_bytes=FAR) == []
    assert merge_records([], limit_bytes=FAR) == []


# ---- for a reader that lags ------------------------------------------------------------------


def test_a_merged_record_covers_what_it_stands_for() -> None:
    [event] = merged_events(delta("a", "m"), delta("b", "m"), delta("c", "m"))
    assert (event["seq_from"], event["seq"], event["delta"]) == (41, 43, "abc")
    assert event["sequence_number"] == 49


def test_a_record_that_stays_alone_stays_as_it_is() -> None:
    records = committed(item_added("m"), delta("a", "m"), DONE)
    assert merge_records(records, limit_bytes=FAR) == records


def test_merging_merged_records_again_covers_both() -> None:
    records = committed(*(delta(text, "m") for text in "abcd"))
    [once, twice] = merge_records(records[:2], limit_bytes=FAR) + merge_records(records[2:], limit_bytes=FAR)
    [record] = merge_records([once, twice], limit_bytes=FAR)
    event = decode_event(record)
    assert (event["seq_from"], event["seq"], event["delta"]) == (41, 44, "abcd")


def test_records_that_are_no_neighbours_do_not_merge() -> None:
    """Between them stood something that this viewer does not get; it must not look covered."""
    records = committed(delta("a", "m"), DONE, delta("b", "m"))
    assert merge_records([records[0], records[2]], limit_bytes=FAR) == [records[0], records[2]]


def test_no_merged_record_passes_the_bound() -> None:
    records = committed(*(delta("x" * 10, "m") for _ in range(20)))
    limit_bytes = 3 * len(records[0].data)
    merged = merge_records(records, limit_bytes=limit_bytes)
    assert [len(record.data) <= limit_bytes for record in merged] == [True] * 7


# ---- whatever comes --------------------------------------------------------------------------

DRAFTS = st.lists(
    st.one_of(
        st.builds(
            delta,
            st.text(max_size=5),
            st.sampled_from(["m", "n"]),
            index=st.integers(0, 1),
            content_index=st.integers(0, 1),
        ),
        st.just(DONE),
        st.just(item_added("m")),
        st.just({**delta("", "m"), "delta": None}),
    ),
    max_size=30,
)


def spoken(drafts: list[JsonObject]) -> list[tuple[object, str]]:
    """What was said where, in order, whatever the pieces: runs of text by place, and other events whole."""

    def place(draft: JsonObject) -> object:
        if is_delta(draft["type"]) and isinstance(draft["delta"], str):
            return draft["item_id"], draft["output_index"], draft["content_index"]
        return draft["type"], str(draft)

    runs = [(where, list(run)) for where, run in groupby(drafts, place)]
    return [(where, "".join(str(draft.get("delta")) for draft in run)) for where, run in runs]


@given(drafts=DRAFTS, limit_bytes=st.integers(1, 40))
def test_m1_m2_merging_drafts_changes_neither_text_nor_order(drafts: list[JsonObject], limit_bytes: int) -> None:
    merged = merge_drafts(drafts, limit_bytes=limit_bytes)
    assert spoken(merged) == spoken(drafts)
    for draft in merged:
        text = draft.get("delta") or ""
        assert len(text.encode()) <= limit_bytes or draft in drafts  # M3


@given(drafts=DRAFTS, limit_bytes=st.integers(1, 2_000), cuts=st.sets(st.integers(0, 30)))
def test_m1_m2_merging_records_covers_every_seq_once(
    drafts: list[JsonObject], limit_bytes: int, cuts: set[int]
) -> None:
    """Batches of any size, each merged by itself, are one gapless run of events."""
    records = committed(*drafts)
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(records)), len(records)]
    batches = [records[start:stop] for start, stop in pairwise(bounds)]
    merged = [record for batch in batches for record in merge_records(batch, limit_bytes=limit_bytes)]
    position = 40
    for record in merged:
        event = decode_event(record)
        assert event.get("seq_from", event["seq"]) == position + 1
        assert (record.seq, record.type) == (event["seq"], event["type"])
        assert record in records or (is_delta(record.type) and len(record.data) <= limit_bytes)  # M3
        position = event["seq"]
    assert position == 40 + len(records)
    assert spoken([*map(decode_event, merged)]) == spoken([*map(decode_event, records)])
