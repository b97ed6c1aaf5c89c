"""One connection's way out: what it is told directly, and the rooms that it follows.

    outbox (replies, notices)  ──►┐
    subscribers, by cursor     ──►┴─► sink.write ──► the transport's own buffer ──► socket

Writable: the transport takes bytes. A subscriber of a writable connection is *live* in its
room and costs one write a round. When the transport says stop, all of its subscribers leave
their rooms' live sets and keep only a cursor; when it says go, the outbox goes first and
each subscriber reads on from its cursor until it is live again.

Not here: framing (handed in by the transport), fan-out (fanout.py), deadlines (overflow.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from roomcast.core.errors import CloseCode, Disconnect
from roomcast.core.events import Record
from roomcast.core.limits import Limits
from roomcast.core.outbox import Deferred, Outbox, OutboxFull
from roomcast.core.session import Member

if TYPE_CHECKING:
    from roomcast.subscriber.subscriber import Subscriber

__all__ = ["Framing", "Pump", "Sink"]


class Framing(Protocol):
    """How payloads become bytes of one transport. Shared by all connections of its kind."""

    def event(self, epoch: str, record: Record) -> bytes:
        """Frame one committed event."""
        ...

    def notice(self, payload: bytes) -> bytes:
        """Frame a reply or a signal, or a reset that stands for the room's state."""
        ...

    def reset(self, epoch: str, seq: int, payload: bytes) -> bytes:
        """Frame a `room.reset`, which moves the reader's cursor."""
        ...


class Sink(Protocol):
    """The transport of one connection."""

    def write(self, data: bytes) -> None:
        """Hand bytes over, in order; may call `Pump.pause` before it returns."""
        ...

    def buffered_bytes(self) -> int:
        """Bytes that were handed over and that the kernel has not taken."""
        ...

    def end(self, why: Disconnect) -> None:
        """End the connection: with this close code where it can still be written, else at once."""
        ...


class Pump:
    """Everything that goes out on one connection.

    Args:
        member: Whom the connection speaks for at the moment.
        watch: Called with the pump when it stops being writable, to hold it to its deadline.
    """

    __slots__ = (
        "_watch",
        "closed",
        "framing",
        "limits",
        "member",
        "outbox",
        "progress_at_s",
        "progress_bytes",
        "sink",
        "subscribers",
        "writable",
        "write",
    )

    def __init__(
        self,
        sink: Sink,
        framing: Framing,
        member: Member,
        limits: Limits,
        watch: Callable[[Pump], None],
    ) -> None:
        self.sink = sink
        self.write = sink.write
        self.framing = framing
        self.member = member
        self.limits = limits
        self.subscribers: dict[str, Subscriber] = {}
        self.outbox = Outbox(limits.outbox_bytes)
        self.writable = True
        self.closed = False
        self.progress_at_s = 0.0
        self.progress_bytes = 0
        self._watch = watch

    def tell(self, payload: bytes) -> None:
        """Send a reply or a notice; it goes before room events, and is never dropped."""
        self._send(self.framing.notice(payload))

    def tell_later(self, make: Deferred) -> None:
        """Send a frame that is made when its turn comes; `make` returns it framed."""
        if self.closed:
            return
        self.outbox.defer(make)
        if self.writable:
            self._drain()

    def pause(self) -> None:
        """The transport takes nothing more for now."""
        if self.closed or not self.writable:
            return
        self.writable = False
        self._watch(self)
        for subscriber in self.subscribers.values():
            subscriber.leave_live()

    def resume(self) -> None:
        """The transport takes bytes again."""
        if self.closed or self.writable:
            return
        self.writable = True
        self._drain()

    def close(self) -> None:
        """The connection is over; nothing is written any more."""
        if self.closed:
            return
        self.closed = True
        self.writable = False
        self.outbox.clear()
        for subscriber in list(self.subscribers.values()):
            subscriber.close()
        self.subscribers.clear()

    def _send(self, frame: bytes) -> None:
        if self.closed:
            return
        if self.writable and not self.outbox:
            self.write(frame)
            return
        try:
            self.outbox.put(frame)
        except OutboxFull:
            self.sink.end(Disconnect(CloseCode.TOO_SLOW, "replies were not read"))

    def _drain(self) -> None:
        """Write what waits: the outbox first, then each subscriber from its cursor."""
        while self.outbox and self.writable:
            frame = self.outbox.take()
            if frame is not None:
                self.write(frame)
        for subscriber in list(self.subscribers.values()):
            if not self.writable:
                return
            subscriber.advance()
