"""What every request over HTTP needs: who asks, whether we still serve, and a turn in a room's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
from starlette.requests import Request

from roomcast.core.errors import Refusal
from roomcast.core.intents import Opened
from roomcast.room.room import Room
from roomcast.transport.dispatch import Caller
from roomcast.transport.wheel import Services

__all__ = ["Asking"]

T = TypeVar("T")

_DRAIN_RETRY_MS = 1_000


class Asking:
    """The side of requests that has nothing to do with what they want.

    Args:
        ready: Whether the server serves; false while it starts, and from the drain on.
    """

    def __init__(self, services: Services, ready: Callable[[], bool]) -> None:
        self.ready = ready
        self._services = services

    def who(self, request: Request) -> tuple[Caller, str]:
        """Who asks, and from which address. Raises `Rejected`: 401, 403, or 400 for an impossible identity."""
        admission = self._services.admission
        peer, port = request.client or ("local", 0)
        address = admission.client_address(request.headers, peer)
        caller = admission.identify(request.headers, request.url.query, address, connection=f"{peer} {port}")
        return admission.require(caller), address

    def refuse_if_draining(self) -> None:
        """Raise `Refusal` (`draining`) when nothing new is to begin."""
        if not self.ready():
            raise Refusal("draining", "the server is about to stop; come back", retry_after_ms=_DRAIN_RETRY_MS)

    async def turn(self, room: Room, act: Callable[[], T], *, opened_by: Opened | None = None) -> T:
        """Call `act` when its turn in the room's line has come, and return what it gives.

        Cancelling the caller does not take it out of the line: `act` may run when nobody waits any more.

        Args:
            room: Loaded when the turn has come.
            act: Runs between two commits: what it sees is committed, and stands still. May raise `Refusal`.
            opened_by: Creates the room first if need be; without it, a room that does not exist is refused.

        Raises:
            Refusal: `room_not_found`, `unavailable`, or what `act` raised.
        """
        results: list[T] = []
        refusals: list[Refusal] = []
        passed = anyio.Event()

        def settle(outcome: bytes | Refusal) -> None:
            try:
                if isinstance(outcome, Refusal):
                    raise outcome
                if opened_by is None and not room.state.exists:
                    raise Refusal("room_not_found", "there is no such room", param="room")
                results.append(act())
            except Refusal as refusal:
                refusals.append(refusal)
            passed.set()

        room.visit(settle, opened_by=opened_by)
        await passed.wait()
        if refusals:
            raise refusals[0]
        return results[0]
