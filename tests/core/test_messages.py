"""Tests of roomcast/core/messages.py."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.batch import Batch
from roomcast.core.commands import InputImage, InputMessage, InputText, MessageCreate
from roomcast.core.errors import Refusal
from roomcast.core.messages import add_message, content_of
from tests.support.pure_room import ANN, PureRoom


@pytest.mark.parametrize(
    "given", ["hi", [InputText("hi")], [InputMessage("hi")], [InputMessage([InputText("hi")])]], ids=repr
)
def test_text_may_be_written_in_openais_ways(given: Any) -> None:
    assert content_of(given, "content") == [{"type": "input_text", "text": "hi"}]


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ("  ", "invalid_value", "content"),
        ([InputMessage(" ")], "invalid_value", "content[0].content"),
        ([InputMessage("a"), InputMessage("b")], "invalid_value", "content"),
        ([InputText("a"), InputImage()], "not_supported", "content[1].type"),
    ],
)
def test_what_is_not_one_text_is_refused_with_its_place(given: Any, code: str, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        content_of(given, "content")
    assert (refused.value.code, refused.value.param) == (code, param)


def test_a_message_knows_its_event_and_its_event_its_author() -> None:
    room = PureRoom()
    batch = Batch(room.state, room.rulebook, 7)
    intent = room.commanded(MessageCreate(id="c", room="lobby", content="x"), ANN)
    item = add_message(batch, intent, content_of("x", "content"), "msg_0", replaces="msg_0")
    [event] = batch.events
    assert (event["type"], event["seq"], event["by"], event["item"]) == ("item.created", item["seq"], ANN.by(), item)
    assert (item["id"], item["parent_id"], item["replaces"], item["at"]) == (intent.item_id, "msg_0", "msg_0", 7)
