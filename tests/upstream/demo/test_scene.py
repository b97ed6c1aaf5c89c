"""Tests of roomcast/upstream/demo/scene.py."""

from __future__ import annotations

import json

import pytest

from roomcast.upstream.demo.scene import whole
from roomcast.upstream.demo.steps import HOLD, Cut, Pause, Send
from roomcast.upstream.demo.wire import Finish
from tests.upstream.demo.clients import APIS, text_of
from tests.upstream.demo.scenes import PIECES, parse, scene, sent


@pytest.mark.parametrize("api", APIS)
def test_a_play_has_one_pause_before_the_text_and_one_after_each_piece(api: str) -> None:
    pauses = [step for step in scene(api).play() if isinstance(step, Pause)]
    assert pauses == [Pause(0.25), *[Pause(0.025)] * len(PIECES)]


@pytest.mark.parametrize("api", APIS)
def test_the_parts_of_a_scene_add_up_to_the_play(api: str) -> None:
    whole_text = text_of(parse(sent(scene(api).play())))
    parts = scene(api)
    steps = [*parts.opening(), *parts.tokens(0, 2), *parts.tokens(2), *parts.closing()]
    assert text_of(parse(sent(steps))) == whole_text == "".join(PIECES)


@pytest.mark.parametrize("api", APIS)
def test_an_answer_in_one_piece_takes_as_long_and_sends_once(api: str) -> None:
    stage = scene(api)
    *waits, last = whole(stage.play(), stage.answer)
    assert waits == [step for step in scene(api).play() if isinstance(step, Pause)]
    assert isinstance(last, Send)
    assert json.loads(last.payload)["model"] == "demo"


@pytest.mark.parametrize("end", [HOLD, Cut(reset=True)])
def test_an_answer_in_one_piece_that_never_ends_sends_nothing(end: Cut) -> None:
    stage = scene("chat")
    assert list(whole([Send(b"x"), Pause(1), end], stage.answer)) == [Pause(1), end]


def test_a_closing_may_give_another_reason_than_the_script() -> None:
    stage = scene("chat")
    (last,) = [event["choices"][0]["finish_reason"] for event in parse(sent(stage.closing(Finish.LENGTH)))]
    assert last == "length"
