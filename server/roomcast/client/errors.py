"""What the client raises, sorted by what it ends.

    ClientError
    |-- Refused        one command failed; the room goes on
    |-- Unreachable    there was no first connection
    `-- RoomClosed     the room cannot be followed any further
        `-- NotAllowed     because of who we are

A lost connection is in no branch: the client comes back by itself (comeback.py says when).
"""

from __future__ import annotations

from roomcast.client.events import as_object
from roomcast.core.events import JsonObject

__all__ = ["ClientError", "NotAllowed", "Refused", "RoomClosed", "Unreachable"]


class ClientError(Exception):
    """Base of everything the client raises on purpose."""


class Refused(ClientError):
    """The server refused a command; it had no effect.

    Attributes:
        code: Name of the refusal, such as `queue_full`; docs/protocol.md lists them.
        message: One line for a person.
        param: Path of the field at fault, such as `after.seq`, if there is one.
        retryable: Whether the same command may succeed later without being changed.
        retry_after_ms: When to try again, in milliseconds, if the server said so.
        error: The whole error object, for fields that only some codes have.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retryable: bool = False,
        retry_after_ms: int | None = None,
        error: JsonObject | None = None,
    ) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.param = param
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.error: JsonObject = error if error is not None else {"code": code, "message": message}

    @classmethod
    def from_json(cls, error: object) -> Refused:
        """Read the error object of a reply; what is missing or of another type is left out."""
        fields = as_object(error)
        param, retry_after_ms = fields.get("param"), fields.get("retry_after_ms")
        return cls(
            str(fields.get("code", "internal")),
            str(fields.get("message", "the server gave no reason")),
            param=param if isinstance(param, str) else None,
            retryable=fields.get("retryable") is True,
            retry_after_ms=retry_after_ms if isinstance(retry_after_ms, int) else None,
            error=fields,
        )


class Unreachable(ClientError, ConnectionError):
    """Nobody answered at the address, or what answered was no roomcast server."""


class RoomClosed(ClientError):
    """The room cannot be followed any further; coming back would not help.

    Attributes:
        close_code: WebSocket close code, if the connection was closed with one.
        status: HTTP status, if the connection was refused with one.
    """

    def __init__(self, reason: str, *, close_code: int | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.status = status


class NotAllowed(RoomClosed):
    """The server does not know us, or does not let us in."""
