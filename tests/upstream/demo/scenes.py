"""Scenes without a socket, and what they would send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from roomcast.upstream.demo.asking import Ask, ask_chat, ask_responses
from roomcast.upstream.demo.chat_wire import ChatAnswer
from roomcast.upstream.demo.responses_wire import ResponsesAnswer
from roomcast.upstream.demo.scene import Scene
from roomcast.upstream.demo.settings import DemoSettings
from roomcast.upstream.demo.steps import Pace, Send, Step
from roomcast.upstream.demo.wire import Finish

NONE: Mapping[str, object] = {}
PIECES = ("One", " stream", ", a", " room.")


def ask(api: str, options: Mapping[str, object] = NONE) -> Ask:
    if api == "responses":
        return ask_responses(json.dumps({"model": "any", "input": "hi", "stream": True, **options}).encode())
    messages = [{"role": "user", "content": "hi"}]
    return ask_chat(json.dumps({"model": "any", "messages": messages, "stream": True, **options}).encode())


def scene(api: str, finish: Finish = Finish.STOP, options: Mapping[str, object] = NONE) -> Scene:
    answer_type = ResponsesAnswer if api == "responses" else ChatAnswer
    answer = answer_type(ask(api, options), model="demo")
    return Scene(answer, PIECES, finish, Pace(DemoSettings(jitter=0), "key"))


def sent(steps: Iterable[Step]) -> bytes:
    return b"".join(step.payload for step in steps if isinstance(step, Send))


def parse(body: bytes) -> list[dict[str, Any]]:
    """Parse events as strictly as OpenAI writes them; `[DONE]` must be last and is not returned."""
    blocks = body.decode().split("\n\n")
    assert blocks.pop() == "", "the last event is not complete"
    events: list[dict[str, Any]] = []
    for at, block in enumerate(blocks):
        if block == "data: [DONE]":
            assert at == len(blocks) - 1
            continue
        *name, data = block.split("\n")
        event = cast("dict[str, Any]", json.loads(data.removeprefix("data: ")))
        assert name == ([f"event: {event['type']}"] if "type" in event else [])
        events.append(event)
    return events
