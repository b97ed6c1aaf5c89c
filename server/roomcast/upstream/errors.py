"""Every way a model service fails, in the codes and the words of the protocol.

    no connection, 5xx                   upstream_unavailable      retryable
    429                                  upstream_rate_limited     retryable, but not without credit
    cut before or after the first byte   upstream_disconnected     retryable before output
    HTML, nothing, broken JSON           upstream_bad_response
    400 and its kin about the length     context_too_large
    other 3xx and 4xx                    upstream_rejected         retryable for 408 and 409

Invariants
    E1  No text, address or key of the upstream is in an error, also not in its traceback: vendor
        exceptions quote bodies, and bodies quote keys and prompts. So nothing here is chained;
        raise what these functions return `from None`.
    E2  A 5xx status wins over its body.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import anyio
import httpx2
import openai

from roomcast.core.errors import UpstreamError
from roomcast.upstream.payload import as_object

__all__ = [
    "VENDOR_ERRORS",
    "bad_response",
    "code_of",
    "failure_of",
    "from_body",
    "from_status",
    "from_vendor",
    "rejected",
    "retry_after_ms",
    "words_of",
]

LONGEST_WAIT_MS: Final = 7 * 24 * 3600 * 1000
"""More than any service means; a larger number is a mistake, and would not fit everywhere."""

VENDOR_ERRORS: Final = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    ssl.SSLError,
    OSError,
    UnicodeError,  # a key or an address that no header or host name can hold
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
)
"""What the client and the layers below it raise, but for cancellation."""

_WORDS: Final[Mapping[str, str]] = {
    "upstream_rate_limited": "the model service asks us to slow down",
    "upstream_unavailable": "the model service cannot be used at the moment",
    "upstream_rejected": "the model service did not accept the request",
    "upstream_disconnected": "the connection to the model service was lost",
    "upstream_bad_response": "the model service sent something that is no answer",
    "context_too_large": "the conversation is longer than the model can take",
}
_STATUS_WORDS: Final[Mapping[int, str]] = {
    401: "the model service did not accept our key",
    403: "the model service does not let us use this model",
    404: "the model service does not know this model or this address",
}
_RETRYABLE: Final = frozenset({"upstream_rate_limited", "upstream_unavailable", "upstream_disconnected"})
_ABOUT_LENGTH: Final = (
    "context_length",
    "context length",
    "context window",
    "context size",
    "context_size",
    "maximum context",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "string_above_max_length",
    "too many input tokens",
    "reduce the length",
)
_ABOUT_RATE: Final = ("rate_limit", "ratelimit", "too_many_requests", "insufficient_quota", "429")
_ABOUT_SERVER: Final = (
    "server_error",
    "servererror",
    "internal",
    "unavailable",
    "overloaded",
    "timeout",
    "bad_gateway",
)
_SERVER_STATUS: Final = re.compile(r"\b5\d\d\b", re.ASCII)
_ABOUT_CUTS: Final = ("disconnected", "closed connection")
"""How h11 and httpcore2 tell a lost connection from bytes that are no HTTP."""


def failure_of(code: str, *, retryable: bool | None = None) -> UpstreamError:
    """The plain error of a code, in its usual words; `retryable` as is usual for it, if not given."""
    return UpstreamError(code, words_of(code), retryable=code in _RETRYABLE if retryable is None else retryable)


def words_of(code: str) -> str:
    """Our own line for a code."""
    return _WORDS[code]


def bad_response(what: str) -> UpstreamError:
    """The upstream sent `what`, which is no answer."""
    return UpstreamError("upstream_bad_response", f"the model service sent {what}")


def rejected(why: str) -> UpstreamError:
    """A request that this upstream cannot be asked; nothing was sent."""
    return UpstreamError("upstream_rejected", why)


def from_vendor(error: Exception) -> UpstreamError:
    """Translate what the client raised (one of `VENDOR_ERRORS`), before output or after."""
    # The client wraps what httpx2 raised before the answer; while it is read, httpx2 speaks for itself.
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    match cause:
        case (
            httpx2.ConnectError()
            | httpx2.ConnectTimeout()
            | httpx2.PoolTimeout()
            | httpx2.WriteTimeout()
            | httpx2.ProxyError()
        ):
            return failure_of("upstream_unavailable")
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL() | httpx2.LocalProtocolError() | UnicodeError():
            return rejected("the address or the key of the model service cannot be used")
        case httpx2.RemoteProtocolError() if not any(word in str(cause) for word in _ABOUT_CUTS):
            return bad_response("something that is not HTTP")
        case _:
            return failure_of("upstream_disconnected")


def from_status(status: int, headers: Mapping[str, str], error: Any) -> UpstreamError:
    """Translate an answer with a status of 300 or more.

    Args:
        status: The HTTP status.
        headers: Names in lower case, or a mapping that does not care.
        error: The error object of the body, or what was there instead.
    """
    if status >= 500:
        code, retryable = "upstream_unavailable", True
    elif status == 429:
        # Without credit the same request fails for days; the status alone does not say so.
        code, retryable = "upstream_rate_limited", not _is_about_credit(error)
    elif status in (400, 413, 422) and code_of(error) == "context_too_large":
        code, retryable = "context_too_large", False
    else:
        code, retryable = "upstream_rejected", status in (408, 409)
    advice = headers.get("x-should-retry")
    return UpstreamError(
        code,
        _STATUS_WORDS.get(status, _WORDS[code]),
        retryable=advice == "true" if advice in ("true", "false") else retryable,
        retry_after_ms=retry_after_ms(headers),
        status=status,
    )


def from_body(error: Any) -> UpstreamError:
    """Translate an error object inside a stream or an answer with a good status."""
    code = code_of(error)
    return failure_of(code, retryable=False if _is_about_credit(error) else None)


def code_of(error: Any) -> str:
    """The code for an error object, which has no HTTP status of its own."""
    if any(words in _text_of(error) for words in _ABOUT_LENGTH):
        return "context_too_large"
    machine = _text_of(error, "code", "type", "status")
    if any(words in machine for words in _ABOUT_RATE):
        return "upstream_rate_limited"
    if any(words in machine for words in _ABOUT_SERVER) or _SERVER_STATUS.search(machine):
        return "upstream_unavailable"
    return "upstream_rejected"


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """How long the upstream asks us to wait: `retry-after-ms`, else `Retry-After` in seconds or as a date."""
    for name, unit_ms in (("retry-after-ms", 1), ("retry-after", 1000)):
        try:
            value = float(headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(value) and value >= 0:
            return round(min(value * unit_ms, LONGEST_WAIT_MS))
    try:
        when = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    wait_ms = (when - datetime.now(UTC)).total_seconds() * 1000
    return round(min(max(0.0, wait_ms), LONGEST_WAIT_MS))


def _is_about_credit(error: Any) -> bool:
    return "insufficient_quota" in _text_of(error, "code", "type")


def _text_of(error: Any, *fields: str) -> str:
    """The words of an error object in lower case, to look for known ones; never to be shown."""
    if isinstance(error, str):
        return "" if fields else error[:1000].lower()
    values = (as_object(error).get(name) for name in fields or ("code", "type", "status", "message"))
    return " ".join(str(value)[:1000] for value in values if isinstance(value, (str, int))).lower()
