"""What the demo upstream saw: counters, and the newest requests, for tests that look from the model's side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto

import anyio

from roomcast.upstream.demo.steps import Request

__all__ = ["Ending", "Ledger", "Playing"]


class Ending(Enum):
    """How the playing of an answer ended."""

    FINISHED = auto()
    ABORTED = auto()
    BROKEN = auto()


@dataclass(slots=True)
class Playing:
    """One answer being played. It counts as aborted unless it says otherwise before its block ends."""

    ending: Ending = Ending.ABORTED


class Ledger:
    """Counts requests and how their answers ended. Each answer ends in one of `finished`, `aborted` and `broken`.

    Args:
        keep: How many requests to remember in `seen`.

    Attributes:
        requests: HTTP requests so far, the refused ones included.
        open_streams: Answers being played now, whether streamed or not.
        finished: Answers played to their end; for a fault, to the end that it made.
        aborted: Answers that the client did not wait for, or that the end of the server cut short.
        broken: Answers that a bug of the demo ended.
        seen: The newest requests.
    """

    def __init__(self, *, keep: int) -> None:
        self.requests = 0
        self.open_streams = 0
        self.finished = 0
        self.aborted = 0
        self.broken = 0
        self.seen: deque[Request] = deque(maxlen=keep)
        self._waiting: dict[anyio.Event, Callable[[], bool]] = {}

    def saw(self, request: Request) -> None:
        """Count a request."""
        self.requests += 1
        self.seen.append(request)
        self._wake()

    @contextmanager
    def answering(self) -> Generator[Playing]:
        """Count an answer as open inside of the block, and by what the block says of it afterwards."""
        playing = Playing()
        self.open_streams += 1
        self._wake()
        try:
            yield playing
        finally:
            self.open_streams -= 1
            match playing.ending:
                case Ending.FINISHED:
                    self.finished += 1
                case Ending.ABORTED:
                    self.aborted += 1
                case Ending.BROKEN:
                    self.broken += 1
            self._wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; it is asked after each change of a counter."""
        if condition():
            return
        changed = anyio.Event()
        self._waiting[changed] = condition
        try:
            await changed.wait()
        finally:
            self._waiting.pop(changed, None)

    def _wake(self) -> None:
        for event, condition in list(self._waiting.items()):
            if condition():
                event.set()
