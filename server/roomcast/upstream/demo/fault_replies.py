"""Faults that are a whole HTTP reply, given instead of an answer."""

from __future__ import annotations

from roomcast.upstream.demo.faults import Fault, FaultKind
from roomcast.upstream.demo.steps import Reply
from roomcast.upstream.demo.wire import EVENT_STREAM, JSON, error_body

__all__ = ["reply"]

_PAGE = b"""<!DOCTYPE html>
<html><head><title>Welcome to the proxy</title></head>
<body><h1>Something in between answered</h1><p>And it does not speak JSON.</p></body></html>
"""

_ENVELOPES = {
    400: ("Invalid value.", "invalid_request_error"),
    401: ("Incorrect API key provided.", "invalid_request_error"),
    403: ("You are not allowed to use this model.", "invalid_request_error"),
    404: ("The model does not exist or you do not have access to it.", "invalid_request_error"),
    503: ("The engine is currently overloaded, please try again later.", "service_unavailable_error"),
}


def reply(fault: Fault) -> Reply | None:
    """Return the reply of which `fault` consists, or `None` if it is about the stream of an answer."""
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return _rate_limited(fault)
        case FaultKind.STATUS:
            status = fault.status or 500
            message, type_ = _ENVELOPES.get(status, ("The server had an error.", "server_error"))
            body = error_body(message, type=type_, param=None, code=fault.code)
            return Reply(status, body, (("content-type", JSON),))
        case FaultKind.HTML:
            return Reply(fault.status or 200, _PAGE, (("content-type", "text/html"),))
        case FaultKind.EMPTY:
            return Reply(200, b"", (("content-type", EVENT_STREAM),))
        case FaultKind.CONTEXT_LENGTH_EXCEEDED:
            message = "Your input exceeds the context window of this model. Please adjust your input and try again."
            body = error_body(message, param="input", code="context_length_exceeded")
            return Reply(400, body, (("content-type", JSON),))
        case FaultKind.REDIRECT:
            return Reply(307, b"", (("location", fault.location),))
        case _:
            return None


def _rate_limited(fault: Fault) -> Reply:
    headers = [("content-type", JSON)]
    if fault.retry_after is not None:
        headers.append(("retry-after", fault.retry_after))
    if fault.retry_after_ms is not None:
        headers.append(("retry-after-ms", fault.retry_after_ms))
    message = "Rate limit reached. Please try again later."
    return Reply(429, error_body(message, type="requests", param=None, code="rate_limit_exceeded"), tuple(headers))
