"""Tests of roomcast/core/commands.py."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core import commands
from roomcast.core.commands import COMMAND_TYPES, LOGGED, NOT_YET, Command, MessageCreate, ResponseCreate
from roomcast.core.wire import decode

EXAMPLES: dict[str, dict[str, Any]] = {
    "session.authenticate": {"token": "t"},
    "session.ping": {},
    "room.join": {
        "after": {"epoch": "e", "seq": 0},
        "include": ["reasoning", "tools", "annotations", "media"],
        "on_slow": "snapshot",
        "items": 0,
        "tools": ["search"],
    },
    "room.leave": {},
    "room.update": {"title": "T", "settings": {}},
    "room.delete": {},
    "message.create": {
        "content": [{"type": "input_text", "text": "hi"}],
        "parent_id": "msg_1",
        "respond": "never",
        "profile": "default",
        "on_busy": "debounce",
    },
    "response.create": {"input": "hi", "model": "m", "temperature": 1, "tools": [], "text": {}, "metadata": {"a": "b"}},
    "response.cancel": {"response_id": "resp_1", "reason": "enough", "discard": False},
    "response.steer": {"response_id": "resp_1", "input": "shorter"},
    "response.regenerate": {"response_id": "resp_1", "model": "m", "profile": "default"},
    "item.edit": {"item_id": "msg_1", "content": "hi", "respond": "always"},
    "item.retract": {"item_id": "msg_1", "reason": "mine"},
    "item.rate": {"item_id": "msg_1", "rating": -1, "comment": "no"},
    "branch.select": {"item_id": "msg_1"},
    "queue.update": {"response_id": "resp_1", "content": "hi", "position": 1, "remove": True},
    "tool.decide": {"call_id": "call_1", "decision": "approve", "arguments_digest": "sha256:0"},
    "tool.output": {"call_id": "call_1", "output": "42"},
    "presence.update": {"state": {"typing": True}},
    "history.list": {"before": "msg_1", "limit": 1},
    "history.search": {"query": "q", "mode": "hybrid", "limit": 1},
}


@pytest.mark.parametrize("name", COMMAND_TYPES)
def test_every_command_of_the_protocol_is_taken_with_all_its_fields(name: str) -> None:
    room = {} if name.startswith("session.") else {"room": "lobby"}
    command = decode({"type": name, "id": "c", **room, **EXAMPLES[name]})
    assert type(command) is COMMAND_TYPES[name]
    assert command.type == name


def test_there_is_an_example_of_each_and_of_no_other() -> None:
    assert set(EXAMPLES) == set(COMMAND_TYPES)


def test_what_changes_a_log_and_what_is_not_served_yet_do_not_meet() -> None:
    assert set(LOGGED).isdisjoint(NOT_YET)
    assert set(NOT_YET) < set(COMMAND_TYPES.values())


def test_the_fields_of_a_response_are_openais_that_were_given() -> None:
    command = ResponseCreate(
        id="c", room="lobby", input="hi", parent_id="msg_1", profile="p", on_busy="reject", temperature=0.5, text={}
    )
    assert command.fields() == {"temperature": 0.5, "text": {}}
    assert ResponseCreate(id="c", room="lobby").fields() == {}


def test_a_message_asks_for_an_answer_unless_it_says_otherwise() -> None:
    assert MessageCreate(id="c", room="lobby", content="hi").respond == "auto"


@pytest.mark.parametrize("name", commands.__all__)
def test_commands_cannot_be_changed(name: str) -> None:
    kind = getattr(commands, name)
    assert not (isinstance(kind, type) and issubclass(kind, Command)) or kind.__struct_config__.frozen
