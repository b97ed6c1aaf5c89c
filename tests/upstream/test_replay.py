"""Tests of roomcast/upstream/replay.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.core.events import JsonObject
from roomcast.core.output import Output
from roomcast.upstream.replay import replay

MESSAGE: JsonObject = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "Hello", "annotations": [{"type": "url_citation"}]},
        {"type": "refusal", "refusal": "No"},
        {"type": "something_new", "data": 1},
    ],
}
REASONING: JsonObject = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "In short"}],
    "content": [{"type": "reasoning_text", "text": "At length"}],
    "encrypted_content": "abc",
}
CALL: JsonObject = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "f",
    "arguments": "{}",
}
SEARCH: JsonObject = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"query": "x"}}


def test_whoever_folds_the_events_has_the_response() -> None:
    output = Output()
    events = list(replay([REASONING, MESSAGE, CALL, SEARCH]))
    for event in events:
        output.fold(event)
    assert output.render() == [REASONING, MESSAGE, CALL, SEARCH]


def test_whoever_reads_only_the_deltas_has_the_text() -> None:
    deltas = [event for event in replay([REASONING, MESSAGE, CALL]) if event["type"].endswith(".delta")]
    assert [(event["type"], event["item_id"], event["delta"]) for event in deltas] == [
        ("response.reasoning_summary_text.delta", "rs_1", "In short"),
        ("response.reasoning_text.delta", "rs_1", "At length"),
        ("response.output_text.delta", "msg_1", "Hello"),
        ("response.refusal.delta", "msg_1", "No"),
        ("response.function_call_arguments.delta", "fc_1", "{}"),
    ]


def test_items_begin_empty() -> None:
    begun = [event["item"] for event in replay([REASONING, MESSAGE, CALL]) if event["type"].endswith("item.added")]
    assert [(item.get("content"), item.get("arguments"), item.get("summary")) for item in begun] == [
        (None, None, []),
        ([], None, None),
        (None, "", None),
    ]


@pytest.mark.parametrize("output", [None, "text", {}, [None, 7, {}, {"type": "message", "content": 7}]])
def test_what_is_no_output_is_replayed_without_a_fault(output: Any) -> None:
    list(replay(output))


@given(
    st.recursive(
        st.none() | st.text(max_size=3),
        lambda s: (
            st.lists(s, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "content", "summary", "text", "id"]),
                s | st.sampled_from(["message", "reasoning"]),
            )
        ),
    )
)
def test_any_output_is_replayed_without_a_fault(output: Any) -> None:
    list(replay([output]))
