"""Tests of roomcast/upstream/item_writer.py: any chunks give well-formed items."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from roomcast.core.events import JsonObject
from roomcast.core.output import Output
from roomcast.upstream.item_writer import ItemWriter
from tests.support.upstream_calls import counted_ids

_TEXT = st.text(st.sampled_from("ab\ud83c\udf89"), max_size=3)
_STEPS = st.lists(
    st.tuples(st.just("text"), st.sampled_from(["output_text", "refusal", "reasoning_text"]), _TEXT)
    | st.tuples(st.just("call"), st.sampled_from(["1", "2"]), st.sampled_from(["", "f"]), _TEXT),
    max_size=12,
)


def written(steps: list[Any], ending: str) -> list[JsonObject]:
    """Everything that is written for these steps."""
    writer = ItemWriter(counted_ids())
    events: list[JsonObject] = []
    for method, *arguments in steps:
        events += getattr(writer, method)(*arguments)
    events += writer.close("completed") if ending == "close" else writer.flush()
    return events


@given(_STEPS)
def test_what_is_opened_is_closed_once_and_in_between_it_has_its_text(steps: list[Any]) -> None:
    """W1 to W4, read from outside: as somebody who only folds the events."""
    events = written(steps, "close")
    texts: dict[tuple[str, int | None], str] = {}
    opened: list[str] = []
    for event in events:
        orjson.dumps(event)
        place = (event.get("item_id", ""), event.get("content_index"))
        match event["type"].removeprefix("response.").split("."):
            case ["output_item", "added"]:
                assert event["output_index"] == len(opened)
                opened.append(event["item"]["id"])
            case ["content_part", "added"]:
                assert place not in texts
                assert place[0] == opened[-1], "at most one text item is open"
                texts[place] = ""
            case [_, "delta"]:
                assert event["delta"]
                texts[place] = texts.get(place, "") + event["delta"]
            case ["function_call_arguments", "done"]:
                assert event["arguments"] == texts.pop(place, "")
            case ["content_part", "done"]:
                part = event["part"]
                assert part.get("text", part.get("refusal")) == texts.pop(place)
            case ["output_item", "done"]:
                assert event["item"]["id"] == opened[event["output_index"]]
                assert event["item"]["status"] == "completed"
            case [kind, "done"]:
                assert event["refusal" if kind == "refusal" else "text"] == texts[place]
            case other:
                raise AssertionError(other)
    assert texts == {}
    assert len(opened) == len([event for event in events if event["type"] == "response.output_item.done"])


@given(_STEPS)
def test_folding_the_events_gives_the_items_that_were_closed(steps: list[Any]) -> None:
    output = Output()
    events = written(steps, "close")
    for event in events:
        output.fold(event)
    assert output.render() == [
        event["item"]
        for event in sorted(events, key=lambda event: event.get("output_index", 0))
        if event["type"] == "response.output_item.done"
    ]


@given(_STEPS)
def test_flushing_closes_nothing(steps: list[Any]) -> None:
    closed, flushed = written(steps, "close"), written(steps, "flush")
    rest = iter(closed)
    assert all(event in rest for event in flushed), "what closing gives, less the closing events"
    assert [event for event in closed if event["type"].endswith(".delta")] == [
        event for event in flushed if event["type"].endswith(".delta")
    ]
