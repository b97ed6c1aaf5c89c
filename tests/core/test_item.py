"""Tests of roomcast/core/item.py."""

from __future__ import annotations

from roomcast.core.item import Item


def test_an_item_knows_its_place_and_is_its_json() -> None:
    item = Item.of({"id": "b", "parent_id": "a", "response_id": "r", "text": "ü"}, 7)
    assert item == Item("b", 7, "a", "r", '{"id":"b","parent_id":"a","response_id":"r","text":"ü"}'.encode())
    assert item.body() == {"id": "b", "parent_id": "a", "response_id": "r", "text": "ü"}


def test_an_item_may_hang_below_nothing_and_come_from_no_response() -> None:
    assert Item.of({"id": "a"}, 1) == Item("a", 1, None, None, b'{"id":"a"}')
