"""Answers over HTTP: JSON bytes with a status, and the error JSON that every refusal becomes."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from roomcast.core.errors import Refusal
from roomcast.transport.rejected import Rejected, error_headers

__all__ = ["EXCEPTION_HANDLERS", "json_answer", "problem"]


def json_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of encoded JSON."""
    return Response(body, status, headers, media_type="application/json")


def problem(rejected: Rejected) -> Response:
    """The answer to a request that is turned away."""
    return json_answer(rejected.body, rejected.status, rejected.headers)


def answer_refusal(refusal: Refusal, body: bytes) -> Response:
    """The answer to a command that was refused, with the body that its transport gives."""
    return json_answer(body, refusal.status, error_headers(refusal.status, refusal))


async def _on_rejected(request: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    return problem(error)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(_rejected(error.status, error))


async def _on_http(request: Request, error: Exception) -> Response:
    """What the router says by itself: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        rejected = Rejected(405, "unknown_command", "this path does not take this method", param="method")
    else:
        rejected = Rejected(error.status_code, "unknown_command", "there is nothing at this path", param="path")
    return json_answer(rejected.body, rejected.status, error.headers)


def _rejected(status: int, refusal: Refusal) -> Rejected:
    return Rejected(status, refusal.code, refusal.message, param=refusal.param, retry_after_ms=refusal.retry_after_ms)


EXCEPTION_HANDLERS = {Rejected: _on_rejected, Refusal: _on_refusal, HTTPException: _on_http}
"""What an address may raise, and what then answers."""
