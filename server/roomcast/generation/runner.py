"""Drive one generation: pieces from the upstream in, output and one ending out.

The rules are in core/; this file waits, and measures. Every way out of the upstream's
context hangs up first, so that no output can follow the ending.

    first_output_timeout_s   from the start to the first output, all tries together
    idle_timeout_s           between two pieces; waiting for our own store is no silence
    total_timeout_s          for the whole

Not here: who starts and stops a generation (scheduler.py); whether to try again (core/attempts.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from math import inf
from random import random

import anyio
import structlog

from roomcast.core.attempts import wait_before_retry
from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject, is_delta
from roomcast.core.intents import CutShort, Ended, Ending
from roomcast.core.ports import Clock, Finish, Observer, Piece, TokenCounter, Upstream, UpstreamRequest
from roomcast.core.settings import UpstreamSettings
from roomcast.core.usage import estimated
from roomcast.room.room import Room

__all__ = ["Generation", "Runner"]

log = structlog.get_logger()


@dataclass(slots=True)
class Generation:
    """One run of the model and what was measured of it.

    Attributes:
        started_at_s: When its room was told that it runs, monotonic; it may have waited for a place since.
        scope: Cancelled when the room does not want it any more.
        unwanted_at_s: When that was, monotonic.
        outage: Its deadline is set while the store takes none of its output.
    """

    room: Room
    request: UpstreamRequest
    started_at_s: float
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    outage: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    first_output_at_s: float | None = None
    unwanted_at_s: float | None = None
    tries: int = 0
    produced: list[str] = field(default_factory=list[str])
    finish: Finish | None = None


class Runner:
    """Runs generations against one upstream."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        settings: UpstreamSettings,
        uncommitted_timeout_s: float,
        tokens: TokenCounter,
        clock: Clock,
        observer: Observer,
        roll: Callable[[], float] = random,
    ) -> None:
        self._roll = roll
        self._upstream = upstream
        self._settings = settings
        self._uncommitted_timeout_s = uncommitted_timeout_s
        self._tokens = tokens
        self._clock = clock
        self._observer = observer

    async def run(self, generation: Generation) -> Ended:
        """Run it to its end; return how it ended, with usage and timings.

        Cancelling the caller hangs up; what is known of the generation then is `ended`'s to tell.
        """
        refused = UpstreamError("storage_unavailable", "the output could not be stored")
        ending: Ending = refused
        with generation.outage:
            ending = await self._attempts(generation)
        if ending is refused:
            self._report(generation, refused, None)
        return self.ended(generation, ending)

    def hold(self, generation: Generation, *, refused: bool) -> None:
        """The store takes no output for now, and must take it again in time; or it does."""
        generation.outage.deadline = anyio.current_time() + self._uncommitted_timeout_s if refused else inf

    def ended(self, generation: Generation, ending: Ending) -> Ended:
        """Put together what is known of a generation that is over."""
        now_s = self._clock.monotonic_s()
        first_s = generation.first_output_at_s
        if first_s is not None:
            self._observer.time("roomcast_first_output_seconds", first_s - generation.started_at_s)
        return Ended(
            generation.request.response_id,
            ending,
            usage=self._usage(generation),
            first_output_ms=None if first_s is None else _ms(first_s - generation.started_at_s),
            total_ms=_ms(now_s - generation.started_at_s),
        )

    async def _attempts(self, generation: Generation) -> Ending:
        """Try until there is output, or trying is over; one deadline for all tries."""
        started_s = anyio.current_time()
        total_deadline = started_s + self._settings.total_timeout_s
        first_deadline = min(total_deadline, started_s + self._settings.first_output_timeout_s)
        while True:
            generation.tries += 1
            ending = await self._stream(generation, first_deadline, total_deadline)
            if not isinstance(ending, UpstreamError):
                return ending
            self._observer.count("roomcast_upstream_errors_total", code=ending.code)
            left_s = first_deadline - anyio.current_time()
            wait_s = None
            if generation.first_output_at_s is None:
                wait_s = wait_before_retry(ending, generation.tries, left_s=left_s, roll=self._roll())
            self._report(generation, ending, wait_s)
            if wait_s is None:
                return ending
            await anyio.sleep(wait_s)

    async def _stream(self, generation: Generation, first_deadline: float, total_deadline: float) -> Ending:
        """Read the upstream until it ends, fails or falls silent."""
        with anyio.CancelScope(deadline=first_deadline) as silence:
            try:
                async with self._upstream.open(generation.request) as pieces:
                    return await self._read(generation, pieces, silence, total_deadline)
            except UpstreamError as error:
                return error
        if anyio.current_time() >= total_deadline:
            return CutShort("time_limit")
        return UpstreamError("upstream_timeout", "the model service fell silent")

    def _report(self, generation: Generation, error: UpstreamError, wait_s: float | None) -> None:
        facts: JsonObject = {
            "room": generation.room.name,
            "response_id": generation.request.response_id,
            "code": error.code,
            "status": error.status,
            "tries": generation.tries,
        }
        if wait_s is None:
            log.warning("generation_failed", **facts)
        else:
            log.warning("attempt_failed", **facts)

    async def _read(
        self,
        generation: Generation,
        pieces: AsyncIterator[Piece],
        silence: anyio.CancelScope,
        total_deadline: float,
    ) -> Ending:
        room, response_id = generation.room, generation.request.response_id
        idle_timeout_s = self._settings.idle_timeout_s
        async for piece in pieces:
            if isinstance(piece, Finish):
                generation.finish = piece
                return piece
            if generation.first_output_at_s is None:
                generation.first_output_at_s = self._clock.monotonic_s()
            if is_delta(piece["type"]) and isinstance(piece.get("delta"), str):
                generation.produced.append(piece["delta"])
            room.produce(response_id, piece)
            if room.crowded:
                silence.deadline = total_deadline
                if not await self._relief(room):
                    return UpstreamError("storage_unavailable", "the output could not be stored")
            silence.deadline = min(total_deadline, anyio.current_time() + idle_timeout_s)
        if generation.first_output_at_s is None:
            return UpstreamError("upstream_bad_response", "the model service sent an empty answer")
        return CutShort("upstream_eof")

    async def _relief(self, room: Room) -> bool:
        with anyio.move_on_after(self._uncommitted_timeout_s):
            await room.relief()
            return True
        return False

    def _usage(self, generation: Generation) -> JsonObject:
        """The usage as reported, else estimated from the text that went in and came out."""
        finish = generation.finish
        if finish is not None and finish.usage is not None:
            return {**finish.usage, "source": "reported"}
        return estimated(self._tokens, generation.request, "".join(generation.produced))


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
