"""Start what this node holds, stop what the room does not want any more.

The scheduler is one more reader of the log: `response.in_progress` that this node appended
starts a generation; `response.cancelling`, or a terminal that somebody else wrote, stops it.
A lost connection stops nothing: the room is listening, not the socket.

Not here: reading the upstream (runner.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import structlog
from anyio.abc import TaskGroup

from roomcast.core.conversation import request_for
from roomcast.core.errors import UpstreamError
from roomcast.core.events import TERMINAL_TYPES
from roomcast.core.intents import Ended, HungUp, Recovered
from roomcast.core.ports import Clock, Observer
from roomcast.core.profile import Profile
from roomcast.core.response_state import Status
from roomcast.generation.runner import Generation, Runner
from roomcast.room.room import Room, Round

__all__ = ["Scheduler"]

log = structlog.get_logger()


class Scheduler:
    """The generations of this node.

    Args:
        tasks: Parent of the generations' tasks.
        limit: Most generations that run at once; more wait for a place, their rooms unharmed.
    """

    def __init__(
        self,
        *,
        tasks: TaskGroup,
        runner: Runner,
        profiles: Mapping[str, Profile],
        clock: Clock,
        observer: Observer,
        limit: int,
    ) -> None:
        self._tasks = tasks
        self._runner = runner
        self._profiles = profiles
        self._clock = clock
        self._observer = observer
        self._places = anyio.CapacityLimiter(limit)
        self._running: dict[str, Generation] = {}
        self._changed = anyio.Event()

    @property
    def running(self) -> int:
        """Generations under way."""
        return len(self._running)

    # -- as a reader of rooms -------------------------------------------------------------------

    def committed(self, batch: Round) -> None:
        """Start and stop what the room's newest events say."""
        for event in batch.events:
            kind = event["type"]
            if kind == "response.in_progress":
                if batch.own:
                    self._start(batch.room, event["response_id"])
            elif kind == "response.cancelling" or kind in TERMINAL_TYPES:
                self._stop(event["response_id"])
                if kind in TERMINAL_TYPES and batch.own:
                    self._observer.count("roomcast_generations_total", outcome=kind.removeprefix("response."))

    def degraded(self, room: Room, reason: str | None) -> None:
        """Output waits for the store, but not for ever."""
        for generation in self._running.values():
            if generation.room is room:
                self._runner.hold(generation, refused=reason is not None)

    def jumped(self, room: Room, reason: str) -> None:
        """Stop what the room, as it stands now, does not want any more."""
        for response_id, generation in self._running.items():
            response = room.state.responses.get(response_id)
            if generation.room is room and (response is None or response.status is not Status.IN_PROGRESS):
                self._stop(response_id)

    def _start(self, room: Room, response_id: str) -> None:
        response = room.state.responses.get(response_id)
        if response is None or response.ended:
            return  # in the very same batch
        try:
            request = request_for(room.state, response, self._profiles)
        except Exception:
            # A fault of ours in what the model is to be asked: nobody else who hears of this round pays for it.
            log.exception("generation_crashed", room=room.name, response_id=response_id)
            room.end(Ended(response_id, UpstreamError("internal", "the server failed")))
            return
        generation = Generation(room, request, started_at_s=self._clock.monotonic_s())
        if response.status is Status.CANCELLING:  # in the very same batch: there is nothing to hang up on
            room.end(self._runner.ended(generation, HungUp(after_ms=0)))
            return
        self._running[response_id] = generation
        self._observer.gauge("roomcast_generations_running", len(self._running))
        self._tasks.start_soon(self._run, generation, name=f"generation {response_id}")

    def _stop(self, response_id: str) -> None:
        generation = self._running.get(response_id)
        if generation is not None and generation.unwanted_at_s is None:
            generation.unwanted_at_s = self._clock.monotonic_s()
            generation.scope.cancel()

    async def _run(self, generation: Generation) -> None:
        room, response_id = generation.room, generation.request.response_id
        log.info("generation_started", room=room.name, response_id=response_id)
        ended: Ended | None = None
        try:
            with generation.scope:
                async with self._places:
                    ended = await self._runner.run(generation)
        except Exception:
            # The root of this task: a fault of ours ends one generation, not the server.
            log.exception("generation_crashed", room=room.name, response_id=response_id)
            ended = self._runner.ended(generation, UpstreamError("internal", "the server failed"))
        finally:
            del self._running[response_id]
            self._observer.gauge("roomcast_generations_running", len(self._running))
            self._changed.set()
            self._changed = anyio.Event()
        ended = ended or self._hung_up(generation)
        if ended is not None:
            room.end(ended)
            log.info(
                "generation_ended",
                room=room.name,
                response_id=response_id,
                ending=type(ended.ending).__name__,
                took_ms=ended.total_ms,
            )

    def _hung_up(self, generation: Generation) -> Ended | None:
        """What to tell the room when we were stopped; it learns nothing new unless it waits for our receipt."""
        response = generation.room.state.responses.get(generation.request.response_id)
        if response is None or response.status is not Status.CANCELLING or generation.unwanted_at_s is None:
            return None
        after_s = self._clock.monotonic_s() - generation.unwanted_at_s
        return self._runner.ended(generation, HungUp(max(0, round(after_s * 1000))))

    # -- stopping -------------------------------------------------------------------------------

    async def drain(self, timeout_s: float) -> None:
        """Give generations `timeout_s` to end by themselves, then end them as `interrupted`."""
        with anyio.move_on_after(timeout_s):
            while self._running:
                await self._changed.wait()
        self.interrupt("drain")

    def interrupt(self, cause: str) -> None:
        """End everything that still runs; the rooms keep their text and what waits in their queues."""
        for response_id, generation in self._running.items():
            generation.room.submit(Recovered(cause, (response_id,), start_next=False))
