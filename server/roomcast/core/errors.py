"""Every way the server says no, sorted by who gets to hear it.

    ServerError
    |-- Refusal        one command failed; its sender gets a reply and stays connected
    |-- Disconnect     one connection ends; the close frame carries the reason
    |-- UpstreamError  one generation ended badly; the room hears of it as a terminal event
    `-- StorageError   an append or a read did not happen
        |-- StorageFull
        |-- StorageUnavailable
        `-- StorageDamaged

A broken invariant is in no branch: it is an `assert`. Met while an intent is decided, it costs that intent.
Codes are those of docs/protocol.md; renaming one is a protocol change.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

__all__ = [
    "HTTP_STATUS",
    "RETRYABLE",
    "CloseCode",
    "Disconnect",
    "Refusal",
    "ServerError",
    "StorageDamaged",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "UpstreamError",
]


class ServerError(Exception):
    """Base of everything this package raises on purpose."""


HTTP_STATUS: Final[Mapping[str, int]] = {
    "invalid_json": 400,
    "missing_field": 400,
    "unknown_field": 400,
    "invalid_type": 400,
    "invalid_value": 400,
    "unknown_command": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "room_not_found": 404,
    "item_not_found": 404,
    "response_not_found": 404,
    "not_joined": 409,
    "no_running_response": 409,
    "room_busy": 409,
    "already_decided": 409,
    "digest_mismatch": 409,
    "command_id_reused": 409,
    "too_large": 413,
    "rate_limited": 429,
    "queue_full": 429,
    "budget_exceeded": 429,
    "internal": 500,
    "not_supported": 501,
    "unavailable": 503,
    "draining": 503,
    "storage_full": 507,
}
"""Each refusal code with the HTTP status that carries it."""

RETRYABLE: Final = frozenset({"room_busy", "rate_limited", "queue_full", "unavailable", "draining", "storage_full"})
"""Codes for which the same command may succeed later without being changed."""


class Refusal(ServerError):
    """A command could not be carried out; it had no effect and the connection survives.

    Attributes:
        code: One of `HTTP_STATUS`.
        message: One line for a person.
        param: Path of the field at fault, such as `after.seq`, if there is one.
        retry_after_ms: When to try again, in milliseconds, if that is known.
    """

    def __init__(self, code: str, message: str, *, param: str | None = None, retry_after_ms: int | None = None) -> None:
        assert code in HTTP_STATUS, f"no such code: {code}"
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_ms = retry_after_ms

    @property
    def status(self) -> int:
        """HTTP status of the code."""
        return HTTP_STATUS[self.code]

    def as_json(self) -> dict[str, Any]:
        """The error object of a reply: `{code, message, param?, retryable, retry_after_ms?}`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "retryable": self.code in RETRYABLE}
        if self.param is not None:
            error["param"] = self.param
        if self.retry_after_ms is not None:
            error["retry_after_ms"] = self.retry_after_ms
        return error


class CloseCode(IntEnum):
    """Close codes of the WebSocket, with what the client should do."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012  # drain: come back
    TRY_AGAIN_LATER = 1013  # overloaded: come back later
    BAD_PROTOCOL = 4400  # do not come back
    UNAUTHENTICATED = 4401  # come back with a new token
    FORBIDDEN = 4403  # do not come back
    TOO_SLOW = 4408  # come back and resume
    RATE_LIMITED = 4429  # come back later


class Disconnect(ServerError):
    """One connection must end, with this close code and reason (under 123 bytes)."""

    def __init__(self, close_code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason


class UpstreamError(ServerError):
    """The model's side failed, in our words; no vendor text, address or key is in it.

    Attributes:
        code: A code of `response.error.code`: upstream_rate_limited, upstream_unavailable,
            upstream_rejected, upstream_timeout, upstream_disconnected, upstream_bad_response,
            context_too_large.
        retryable: Whether the same request may succeed if it is made again before any output.
        retry_after_ms: What the upstream asked us to wait, if it did.
        status: HTTP status of the upstream's answer, for logs and metrics; never sent to clients.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after_ms: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.status = status


class StorageError(ServerError):
    """An append or a read did not happen; nothing of it took effect."""


class StorageFull(StorageError):
    """No room on the device; reads go on."""


class StorageUnavailable(StorageError):
    """The engine did not answer or failed; trying again later may succeed."""


class StorageDamaged(StorageError):
    """The engine says that its file is damaged; only an operator can go on from here."""
