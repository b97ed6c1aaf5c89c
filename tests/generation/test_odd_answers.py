"""Whatever JSON a model service answers with, the room goes on: its viewers, its next prompt, its checkpoints."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from itertools import count
from typing import Any

import anyio
import pytest

from roomcast.core.events import TERMINAL_TYPES, JsonObject, as_array, as_object
from roomcast.core.limits import Limits
from roomcast.core.ports import Piece
from roomcast.upstream.responses_api import ResponsesTranslator
from tests.support import virtual_time
from tests.support.rig import ScriptedUpstream, Step, a_rig

PROMPTS = 6

ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 999, 1000, 1 << 63, "", "x", "output_text", "message", "\u2028", [], {}, ["x"], {"a": 1}),
    [{"type": ["x"], "text": {}}],
    [{"type": "output_text", "text": 5}],
    [{"type": "refusal", "refusal": []}],
]


def an_answer() -> list[JsonObject]:
    """The events of a sound one."""
    item: JsonObject = {"id": "m", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part: JsonObject = {"type": "output_text", "text": "Hello", "annotations": []}
    whole = {**item, "status": "completed", "content": [part]}
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    call = {"id": "f", "type": "function_call", "call_id": "c", "name": "n", "arguments": ""}
    said = {"model": "m", "output": [whole], "usage": {"input_tokens": 1, "output_tokens": 2}, "text": {"x": 1}}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": "Hel", "logprobs": [{"token": "Hel"}]},
        {"type": "response.output_text.delta", **place, "delta": "lo"},
        {"type": "response.output_text.done", **place, "text": "Hello"},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": whole},
        {"type": "response.reasoning_summary_text.delta", "output_index": 1, "summary_index": 0, "delta": "hm"},
        {"type": "response.output_item.added", "output_index": 2, "item": call},
        {"type": "response.function_call_arguments.delta", "item_id": "f", "output_index": 2, "delta": "{}"},
        {"type": "response.hologram.delta", "delta": "?"},
        {"type": "response.completed", "response": said},
    ]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    if (members := as_object(value)) is not None:
        inner: Iterable[tuple[Any, Any]] = members.items()
    else:
        inner = enumerate(as_array(value) or ())
    for name, each in inner:
        yield (*above, name)
        yield from places(each, (*above, name))


def spoil(chance: random.Random, events: list[JsonObject]) -> None:
    """Lose one, repeat one out of order, or put something odd somewhere."""
    event = chance.choice(events)
    match chance.randrange(10):
        case 0:
            events.remove(event)
        case 1:
            events.insert(chance.randrange(len(events)), deepcopy(event))
        case _:
            *above, name = chance.choice([place for place in places(event) if place != ("type",)])
            holder: Any = event
            for step in above:
                holder = holder[step]
            holder[name] = deepcopy(chance.choice(ODD))


class OddUpstream(ScriptedUpstream):
    """Answers through the real translator, each time with something else that is wrong."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self._ids = count()

    async def _play(self, script: Sequence[Step], item_id: str) -> AsyncIterator[Piece]:
        events = an_answer()
        for _ in range(self._chance.randint(1, 6)):
            spoil(self._chance, events)
        translator = ResponsesTranslator(lambda prefix: f"{prefix}_odd{next(self._ids)}")
        for event in events:
            for piece in translator.feed(deepcopy(event), "", ragged=False):
                yield piece
                await anyio.sleep(self._chance.choice((0, 0, 0.1)))
        for piece in translator.flush():
            yield piece
        if translator.finish is not None:
            yield translator.finish


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_model_answers_each_prompt_ends_once_and_the_next_is_asked(seed: int) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)
        limits = Limits(checkpoint_events=chance.choice((1, 5)), running_bytes=chance.choice((300, 2_000, 500_000)))
        async with a_rig(upstream=OddUpstream(chance), limits=limits) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            for number in range(PROMPTS):
                asked = await ann.ask("lobby", "hello")
                await anyio.sleep(0.05)
                await rig.viewer(f"late{number}").join("lobby")
                await ann.until(partial(ends, response_id=asked["response_id"]))
            endings = [got for got in ann.events("lobby") if ends(got)]
            assert len(endings) == len(rig.upstream.requests) == PROMPTS
            assert "internal" not in str([ending["response"]["error"] for ending in endings])

    virtual_time.run(scenario())


def ends(got: JsonObject, response_id: str | None = None) -> bool:
    """Whether this is a terminal, of this response if one is named."""
    return got["type"] in TERMINAL_TYPES and response_id in (None, got["response_id"])
