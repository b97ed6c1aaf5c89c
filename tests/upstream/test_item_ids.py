"""Tests of roomcast/upstream/item_ids.py."""

from __future__ import annotations

import pytest

from roomcast.core.errors import UpstreamError
from roomcast.upstream.item_ids import ItemIds
from roomcast.upstream.item_writer import MAX_ITEMS
from tests.support.upstream_calls import counted_ids


@pytest.mark.parametrize(
    ("item_type", "ours"),
    [
        ("message", "msg_ours1"),
        ("function_call", "fc_ours1"),
        ("reasoning", "rs_ours1"),
        ("web_search_call", "ws_ours1"),
        ("something_new", "item_ours1"),
        (None, "item_ours1"),
        (["message"], "item_ours1"),
    ],
)
def test_an_id_says_what_it_names(item_type: object, ours: str) -> None:
    assert ItemIds(counted_ids()).open("theirs", 0, item_type) == ours


def test_an_item_is_found_by_its_id_and_else_by_its_index() -> None:
    ids = ItemIds(counted_ids())
    first, second = ids.open("a", 0, "message"), ids.open("b", 1, "message")
    assert first != second
    assert [ids.find("a", 1), ids.find("b", None), ids.find("unknown", 1), ids.find(None, 0)] == [
        *(first, second, second, first)
    ]
    assert ids.find("unknown", 7) is None
    assert ids.find(["a"], {}) is None


def test_an_item_announced_twice_keeps_its_id_and_another_takes_over_its_index() -> None:
    ids = ItemIds(counted_ids())
    first = ids.open("a", 0, "message")
    assert ids.open("a", 0, "message") == first
    assert ids.open("b", 0, "message") != first


def test_a_call_keeps_its_id() -> None:
    ids = ItemIds(counted_ids())
    assert [ids.call("a"), ids.call("b"), ids.call("a")] == ["call_ours1", "call_ours2", "call_ours1"]


@pytest.mark.parametrize("what", ["items", "indexes", "calls"])
def test_ids_are_bounded(what: str) -> None:
    ids = ItemIds(counted_ids())
    with pytest.raises(UpstreamError, match="more output items"):  # noqa: PT012  # the loop is what is refused
        for number in range(MAX_ITEMS + 1):
            match what:
                case "items":
                    ids.open(f"item{number}", None, "message")
                case "indexes":
                    ids.open(None, number, "message")
                case _:
                    ids.call(f"call{number}")
