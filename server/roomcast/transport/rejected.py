"""What is refused before there is anybody to reply to: a handshake, or an HTTP request.

The status may be one that no refusal code stands for (405, 414, 426, 431); the body is the
error JSON of the protocol in any case: `{"error": {code, message, param?, retryable, …}}`.
"""

from __future__ import annotations

import math

import orjson

from roomcast.core.errors import Refusal, ServerError

__all__ = ["Rejected", "error_headers"]


class Rejected(ServerError):
    """A request is turned away; it had no effect.

    Attributes:
        status: HTTP status of the answer.
        code: Refusal code of its body.
        message: One line for a person.
    """

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.refusal = Refusal(code, message, param=param, retry_after_ms=retry_after_ms)

    @property
    def body(self) -> bytes:
        """The error JSON."""
        return orjson.dumps({"error": self.refusal.as_json()})

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer, besides its type and length."""
        return error_headers(self.status, self.refusal)


def error_headers(status: int, refusal: Refusal) -> dict[str, str]:
    """Headers that say in HTTP's own words what a refusal says."""
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.retry_after_ms is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after_ms / 1000))
    return headers
