"""One answer as parts that can be played in order: opening, tokens, closing.

An undisturbed answer plays them all. A fault (fault_streams.py) plays some, and puts something else between them.
Everything is lazy: an event is encoded when it is due, so its `sequence_number` is right whatever came before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from roomcast.upstream.demo.chat_wire import ChatAnswer
from roomcast.upstream.demo.responses_wire import ResponsesAnswer
from roomcast.upstream.demo.steps import Pace, Pause, Send, Step
from roomcast.upstream.demo.wire import Finish, encode_json

__all__ = ["Answer", "Scene", "sends", "whole"]


Answer = ResponsesAnswer | ChatAnswer


@dataclass(frozen=True, slots=True)
class Scene:
    """An answer, its text in pieces, and the rhythm."""

    answer: Answer
    pieces: tuple[str, ...]
    finish: Finish
    pace: Pace

    def play(self) -> Iterator[Step]:
        """Play the whole answer."""
        yield from self.opening()
        yield from self.tokens()
        yield from self.closing()

    def opening(self) -> Iterator[Step]:
        """Play everything up to the first token, its wait included."""
        yield from sends(self.answer.opening())
        yield self.pace.before_first()

    def tokens(self, start: int = 0, stop: int | None = None) -> Iterator[Step]:
        """Play the tokens `start` to `stop`."""
        for piece in self.pieces[start:stop]:
            yield from self.token(piece)

    def token(self, piece: str) -> Iterator[Step]:
        """Play one token that need not be part of the text."""
        yield from sends(self.answer.text(piece))
        yield self.pace.after_piece()

    def closing(self, finish: Finish | None = None) -> Iterator[Step]:
        """Play the end."""
        yield from sends(self.answer.closing(finish or self.finish))


def sends(payloads: Iterable[bytes]) -> Iterator[Step]:
    """Turn payloads into steps."""
    return (Send(payload) for payload in payloads)


def whole(steps: Iterable[Step], answer: Answer) -> Iterator[Step]:
    """Turn a stream into one JSON object at its end, which takes just as long."""
    for step in steps:
        # Consecutive pauses stay apart: a client that leaves is noticed at any of them.
        if isinstance(step, Send):
            continue
        yield step
        if not isinstance(step, Pause):
            return
    yield Send(encode_json(answer.result()))
