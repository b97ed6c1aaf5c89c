"""The server's own WebSocket with an echo in it: what the suite needs to talk to.

Same listener, handshake, limits, framing, outbox, deadlines and close codes as `/v1/ws`; only what
a message means is replaced, behind the check that it is UTF-8. Production has no way to reach this.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from roomcast.core.session import SessionInput, SessionState, step
from roomcast.subscriber.pump import Pump
from roomcast.transport.dispatch import Caller
from roomcast.transport.websocket import PATH, WebSocketConnection
from tests.transport.serving import serving

__all__ = ["EchoConnection", "echoing"]


class EchoConnection(WebSocketConnection):
    """Sends every text back."""

    def _text(self, pump: Pump, caller: Caller, text: str) -> None:
        if self.state is SessionState.ARRIVED:
            self.state = step(self.state, SessionInput.HEARD)
        pump.tell(text.encode())


@asynccontextmanager
async def echoing() -> AsyncGenerator[str]:
    """Serve an echo on a free port of loopback; yields its address."""
    async with serving(accept=EchoConnection) as served, anyio.create_task_group() as tasks:
        tasks.start_soon(served.wheel.run, served.hub, served.desk, served.overflow)
        yield f"ws://{served.host}{PATH}"
        tasks.cancel_scope.cancel()
