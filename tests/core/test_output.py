"""Tests of roomcast/core/output.py."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given

from roomcast.core.events import JsonObject
from roomcast.core.output import GAP_BYTES, MAX_INDEX, Output, content_digest
from tests.support.pure_room import delta, item_added, item_done


def folded(*events: JsonObject) -> Output:
    output = Output()
    for event in events:
        output.fold(event)
    return output


def sha(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hexdigest()


def part(name: str, part_type: str, index_name: str, index: int, verb: str = "added", **fields: Any) -> JsonObject:
    return {
        "type": f"response.{name}.{verb}",
        "item_id": "m",
        "output_index": 0,
        index_name: index,
        "part": {"type": part_type, **fields},
    }


# ---- what a stream looks like ----------------------------------------------------------------


def test_a_message_grows_delta_by_delta() -> None:
    output = folded(
        item_added("m"),
        part("content_part", "output_text", "content_index", 0, text="", annotations=[]),
        delta("Hel", "m"),
        delta("lo", "m"),
    )
    [item] = output.render()
    assert item["content"] == [{"type": "output_text", "text": "Hello", "annotations": []}]
    assert (item["id"], item["status"]) == ("m", "in_progress")
    assert output.digest() == sha("Hello")


def test_the_final_values_replace_what_was_gathered() -> None:
    done: JsonObject = {**delta("", "m"), "type": "response.output_text.done", "text": "Hello!"}
    output = folded(item_added("m"), delta("Hello", "m"), done)
    assert output.digest() == sha("Hello!")
    output.fold(part("content_part", "output_text", "content_index", 0, "done", text="Hello?"))
    assert output.digest() == sha("Hello?")
    output.fold(item_done("m", "Hello."))
    assert output.render() == [item_done("m", "Hello.")["item"]]
    assert output.digest() == sha("Hello.")


@pytest.mark.parametrize(
    ("name", "container", "position", "field", "part_type"),
    [
        ("output_text", "content", "content_index", "text", "output_text"),
        ("refusal", "content", "content_index", "refusal", "refusal"),
        ("reasoning_text", "content", "content_index", "text", "reasoning_text"),
        ("reasoning_summary_text", "summary", "summary_index", "text", "summary_text"),
    ],
)
def test_every_kind_of_text_in_a_part_is_gathered_and_replaced(
    name: str, container: str, position: str, field: str, part_type: str
) -> None:
    place: JsonObject = {"item_id": "m", "output_index": 0, position: 0}
    output = folded(
        item_added("m", content=[], summary=[]),
        {"type": f"response.{name}.delta", **place, "delta": "a"},
        {"type": f"response.{name}.delta", **place, "delta": "b"},
    )
    assert output.render()[0][container] == [{"type": part_type, field: "ab"}]
    output.fold({"type": f"response.{name}.done", **place, field: "abc"})
    assert output.render()[0][container] == [{"type": part_type, field: "abc"}]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("function_call_arguments", "arguments"),
        ("custom_tool_call_input", "input"),
        ("mcp_call_arguments", "arguments"),
        ("code_interpreter_call_code", "code"),
    ],
)
def test_every_kind_of_text_in_an_item_is_gathered_and_replaced(name: str, field: str) -> None:
    output = folded(
        item_added("m"),
        {"type": f"response.{name}.delta", "output_index": 0, "delta": '{"a"'},
        {"type": f"response.{name}.delta", "output_index": 0, "delta": ":1}"},
    )
    assert output.render()[0][field] == '{"a":1}'
    output.fold({"type": f"response.{name}.done", "output_index": 0, field: "{}"})
    assert output.render()[0][field] == "{}"


def test_a_reasoning_summary_is_gathered_by_part() -> None:
    output = folded(
        item_added("m", type="reasoning", summary=[]),
        part("reasoning_summary_part", "summary_text", "summary_index", 0, text=""),
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "why"},
        part("reasoning_summary_part", "summary_text", "summary_index", 1, text="and"),
    )
    assert [entry["text"] for entry in output.render()[0]["summary"]] == ["why", "and"]


def test_only_output_text_is_in_the_digest() -> None:
    assert folded().digest() == sha("")
    reasoning: JsonObject = {
        "type": "response.reasoning_text.delta",
        "output_index": 0,
        "content_index": 0,
        "delta": "a",
    }
    refusal: JsonObject = {"type": "response.refusal.delta", "output_index": 0, "content_index": 1, "delta": "b"}
    assert folded(item_added("m"), reasoning, refusal).digest() == sha("")


def test_the_digest_is_over_every_byte_of_the_text() -> None:
    text = "\n  Grüße \t\r\n\0 "
    assert folded(item_added("m"), *[delta(character, "m") for character in text]).digest() == sha(text)


def test_the_digest_goes_by_place_and_not_by_arrival() -> None:
    output = folded(
        item_added("n", 1),
        delta("3", "n", index=1),
        item_added("m", 0),
        delta("2", "m", content_index=1),
        delta("1", "m", content_index=0),
        delta("!", "n", index=1),
    )
    assert [item["id"] for item in output.render()] == ["m", "n"]
    assert output.digest() == sha("123!") == content_digest(output.render())


def test_an_index_that_is_skipped_keeps_the_others_in_their_places() -> None:
    """Viewers who begin from what is rendered go on with deltas that name places."""
    output = folded(item_added("m"), delta("late", "m", content_index=2), delta("x", "m", content_index=1))
    assert [entry["text"] for entry in output.render()[0]["content"]] == ["", "x", "late"]
    assert output.digest() == sha("xlate")


def test_open_items_can_be_closed_with_a_status() -> None:
    output = folded(item_added("m"), item_added("n", 1), item_done("n", "x", 1))
    assert [item["status"] for item in output.render("incomplete")] == ["incomplete", "completed"]
    assert [item["status"] for item in output.render()] == ["in_progress", "completed"]


def test_an_item_may_come_whole_and_unannounced() -> None:
    assert folded(item_done("m", "all at once")).digest() == sha("all at once")


def test_it_knows_its_items() -> None:
    output = folded(item_added("m"))
    assert "m" in output
    assert "n" not in output


def test_a_digest_of_half_a_pair_is_that_of_a_question_mark() -> None:
    assert content_digest([{"content": [{"type": "output_text", "text": "\ud83c"}]}]) == sha("?")


# ---- what does not fit -----------------------------------------------------------------------

MISFITS: list[JsonObject] = [
    {**item_added("m"), "output_index": "0"},
    {**item_added("m"), "output_index": True},
    {**item_added("m"), "output_index": -1},
    {**item_added("m"), "output_index": MAX_INDEX},
    {**item_added("m"), "output_index": None},
    {"type": "response.output_item.added", "output_index": 1},
    {"type": "response.output_item.added", "output_index": 1, "item": "m"},
    {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message"}},
    {"type": "response.output_item.added", "output_index": 1, "item": {"id": 5}},
    item_added("other"),
    item_done("other", "at an index that is taken"),
    delta("nobody announced this item", "n", index=1),
    delta("this item is closed", "c", index=2),
    {**delta("", "m"), "delta": None},
    {**delta("", "m"), "delta": ["a"]},
    delta("x", "m", content_index=-1),
    delta("x", "m", content_index=MAX_INDEX),
    {**delta("x", "m"), "content_index": "0"},
    {**delta("x", "m"), "type": "response.output_text.done", "text": 5},
    {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": "x"},
    {"type": "response.content_part.added", "output_index": 0, "content_index": None, "part": {}},
    {"type": "response.content_part.added", "output_index": 7, "content_index": 0, "part": {}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "x"},
]


@pytest.mark.parametrize("misfit", MISFITS, ids=lambda event: str(event)[:90])
def test_o3_what_does_not_fit_is_left_out_and_cost_says_so(misfit: JsonObject) -> None:
    output = folded(item_added("m", summary="not a list"), delta("a", "m"), item_done("c", "b", 2))
    before = output.dump()
    assert output.cost(misfit) is None
    output.fold(misfit)
    assert output.dump() == before


@pytest.mark.parametrize("event_type", ["response.web_search_call.searching", "response.audio.delta", "noise"])
def test_a_type_that_is_not_kept_costs_nothing_and_changes_nothing(event_type: str) -> None:
    output = folded(item_added("m"))
    before = output.dump()
    event: JsonObject = {"type": event_type, "output_index": 0, "delta": "x"}
    assert output.cost(event) == 0
    output.fold(event)
    assert output.dump() == before


@pytest.mark.parametrize("part_there", [5, None, "text", []])
def test_a_part_that_is_no_object_gives_way_to_text(part_there: object) -> None:
    assert folded(item_added("m", content=[part_there]), delta("a", "m")).digest() == sha("a")


def test_text_goes_on_behind_what_a_part_began_with() -> None:
    begun = part("content_part", "output_text", "content_index", 0, text="Hel")
    assert folded(item_added("m"), begun, delta("lo", "m")).digest() == sha("Hello")
    odd = part("content_part", "output_text", "content_index", 0, text=["?"])
    assert folded(item_added("m"), odd, delta("lo", "m")).digest() == sha("lo")
    empty: JsonObject = {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": {}}
    assert folded(item_added("m"), empty, delta("lo", "m")).digest() == sha("lo")


def test_a_part_becomes_what_its_text_says_it_is() -> None:
    """Viewers who put the deltas together have this text, so the digest has it too."""
    odd = part("content_part", "text", "content_index", 0, text="", annotations=[])
    output = folded(item_added("m"), odd, delta("a", "m"))
    assert output.render()[0]["content"] == [{"type": "output_text", "text": "a", "annotations": []}]
    assert output.digest() == sha("a")


def test_the_event_that_was_folded_stays_as_it_was() -> None:
    added = item_added("m", content=[{"type": "output_text", "text": "a"}])
    replacing = part("content_part", "output_text", "content_index", 1, annotations=[])
    folded(added, delta("b", "m"), replacing, delta("c", "m", content_index=1))
    assert added["item"]["content"] == [{"type": "output_text", "text": "a"}]
    assert replacing["part"] == {"type": "output_text", "annotations": []}


# ---- forks and bounds ------------------------------------------------------------------------


def test_o2_a_fork_and_its_origin_do_not_see_each_other() -> None:
    origin = folded(item_added("m"), delta("a", "m"))
    fork, other = origin.fork(), origin.fork()
    fork.fold(delta("b", "m"))
    other.fold(delta("c", "m"))
    origin.fold(delta("d", "m"))
    fork.fold(item_added("n", 1))
    assert [output.digest() for output in (fork, other, origin)] == [sha("ab"), sha("ac"), sha("ad")]
    assert ["n" in output for output in (fork, other, origin)] == [True, False, False]
    assert fork.size_bytes > other.size_bytes == origin.size_bytes


def test_o2_a_fork_that_is_thrown_away_leaves_nothing_behind() -> None:
    origin = folded(item_added("m"), delta("a", "m"))
    before = origin.dump()
    origin.fork().fold(item_done("m", "closed"))
    origin.fork().fold(delta("x" * 100, "m"))
    assert origin.dump() == before
    origin.fold(delta("b", "m"))
    assert origin.digest() == sha("ab")


def test_the_final_text_costs_only_what_it_is_longer() -> None:
    output = folded(item_added("m"), delta("Hello", "m"))
    done: JsonObject = {**delta("", "m"), "type": "response.output_text.done", "text": "Hello!"}
    assert output.cost(done) == 1
    assert output.cost({**done, "text": "Hell"}) == 0
    assert output.cost({**done, "text": "x" * 1_000}) == 995


def test_skipping_indexes_is_paid_for() -> None:
    output = folded(item_added("m"))
    near, far = output.cost(delta("x", "m")), output.cost(delta("x", "m", content_index=900))
    assert near is not None
    assert far == near + 900 * GAP_BYTES


def test_a_field_without_a_name_is_no_place() -> None:
    arguments: JsonObject = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"}
    assert folded({**item_added("m"), "item": {"id": "m", "": 5}}, arguments).render()[0]["arguments"] == "{}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1_001) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
INDEX = st.integers(0, 2) | st.sampled_from([None, -1, MAX_INDEX, True, "0"])
TYPES = [
    f"response.{name}.{verb}"
    for name in (
        "output_item",
        "content_part",
        "reasoning_summary_part",
        "output_text",
        "refusal",
        "reasoning_text",
        "reasoning_summary_text",
        "function_call_arguments",
        "custom_tool_call_input",
        "mcp_call_arguments",
        "code_interpreter_call_code",
        "other",
    )
    for verb in ("added", "delta", "done", "odd")
]
ANYTHING = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        "output_index": INDEX,
        "content_index": INDEX,
        "summary_index": INDEX,
        "delta": st.text(max_size=9) | JSON,
        "text": st.text(max_size=9) | JSON,
        "refusal": JSON,
        "arguments": JSON,
        "part": st.fixed_dictionaries({"type": st.just("output_text"), "text": JSON}) | JSON,
        "item": JSON,
    },
)


def any_item(item_id: str, index: int, content: object, verb: str) -> JsonObject:
    return {**item_added(item_id, index, content=content), "type": f"response.output_item.{verb}"}


ITEMS = st.builds(any_item, st.sampled_from("mno"), st.integers(0, 2), JSON, st.sampled_from(["added", "done"]))
TEXTS = st.builds(delta, st.text(max_size=9), st.just("m"), index=st.integers(0, 2), content_index=st.integers(0, 4))
STREAM = st.lists(ITEMS | TEXTS | ANYTHING, max_size=25)


@given(events=STREAM)
def test_o3_o4_no_stream_raises_and_none_holds_more_than_it_says(events: list[JsonObject]) -> None:
    output = Output()
    for event in events:
        cost, before, size = output.cost(event), output.dump(), output.size_bytes
        output.fold(event)
        assert output.size_bytes == size + (cost or 0)
        if cost is None:
            assert output.dump() == before
        assert output.size_bytes >= sum(len(orjson.dumps(item)) for item in output.render())  # O4


@given(events=STREAM, at=st.integers(0, 25))
def test_a_dump_goes_on_where_the_output_stood(events: list[JsonObject], at: int) -> None:
    straight = folded(*events)
    dumped = folded(*events[:at]).dump()
    reloaded = Output.load(orjson.loads(orjson.dumps(dumped)))
    for event in events[at:]:
        reloaded.fold(event)
    assert reloaded.dump() == straight.dump()
    assert reloaded.digest() == straight.digest()


def test_a_dump_knows_which_items_are_open() -> None:
    output = folded(item_added("m"), item_done("n", "closed", 1))
    reloaded = Output.load(orjson.loads(orjson.dumps(output.dump())))
    assert reloaded.cost(delta("x", "m")) is not None
    assert reloaded.cost(delta("x", "n", index=1)) is None


@given(ours=STREAM, theirs=STREAM, shared=STREAM)
def test_o2_forks_never_mix(shared: list[JsonObject], ours: list[JsonObject], theirs: list[JsonObject]) -> None:
    origin = folded(*shared)
    fork = origin.fork()
    for number in range(max(len(ours), len(theirs))):
        for output, events in ((origin, ours), (fork, theirs)):
            if number < len(events):
                output.fold(events[number])
    assert origin.dump() == folded(*shared, *ours).dump()
    assert fork.dump() == folded(*shared, *theirs).dump()
