"""Tests of roomcast/core/log.py."""

from __future__ import annotations

import dataclasses

import pytest

from roomcast.core import log
from roomcast.core.log import Append, Expired, Head, ReceiptKey


@pytest.mark.parametrize("name", log.__all__)
def test_what_travels_cannot_be_changed_on_the_way(name: str) -> None:
    kind = getattr(log, name)
    field = dataclasses.fields(kind)[0].name
    value = kind.__new__(kind)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")
    assert not hasattr(value, "__dict__")


def test_equal_keys_are_the_same_command() -> None:
    assert {ReceiptKey("r", "m", "c"): 1}[ReceiptKey("r", "m", "c")] == 1
    assert ReceiptKey("r", "m", "c") != ReceiptKey("r", "n", "c")


def test_an_append_is_plain_unless_it_says_more() -> None:
    batch = Append("lobby", "e1", 0, [])
    assert (batch.receipts, batch.holds, batch.released, batch.items) == ((), (), (), ())
    assert (batch.checkpoint, batch.unfinished, batch.title, batch.sync) == (None, False, None, False)


def test_positions_are_values() -> None:
    assert Head("lobby", "e1", 5, 2) == Head("lobby", "e1", 5, 2)
    assert Expired(3).floor == 3
