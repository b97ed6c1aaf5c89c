"""Everything that can go wrong upstream, as data: which fault, where in the answer, how often.

A test asks for one with a directive at the start of the prompt, if the demo was started with `faults=True`:

    !fault cut after_tokens=5
    !fault 429 retry_after=1 times=1
    tell me a long story

or, always, with `DemoServer.inject(Fault(...))`. Letters such as U7 in tests refer to the catalogue of faults.

Not here: what a fault does. It is either a whole reply (fault_replies.py) or a change to a stream (fault_streams.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from roomcast.upstream.demo.asking import Api, Ask, Rejection

__all__ = ["Fault", "FaultKind", "FaultSource", "check", "parse"]


class FaultKind(StrEnum):
    """What happens. In brackets: the fields of `Fault` that matter beside `after_tokens`."""

    # instead of an answer
    RATE_LIMITED = "rate_limited"  # 429 [retry_after, retry_after_ms]
    STATUS = "status"  # OpenAI's error envelope [status, code]
    HTML = "html"  # a page, as from a proxy [status, 200 unless set]
    EMPTY = "empty"  # 200 and nothing
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"  # 400
    REDIRECT = "redirect"  # 307 [location]
    MUTE = "mute"  # accepts the request and sends not one byte

    # the connection; all of them happen after `after_tokens`
    CUT = "cut"  # TCP reset
    TRUNCATE = "truncate"  # close in the middle of an event
    EOF = "eof"  # proper end of the body without an end of the answer
    SILENCE = "silence"  # stays open, sends nothing more
    HEARTBEAT = "heartbeat"  # sends nothing more but comments [every_ms]
    STALL = "stall"  # a pause, then the rest [for_ms]
    DRIP = "drip"  # token after token, for ever or `count` times [every_ms, count]
    BYTEWISE = "bytewise"  # characters and line ends spread over chunks, from the start

    # the events
    MALFORMED = "malformed"  # one event is no JSON; the others go on
    ODD_SSE = "odd_sse"  # byte order mark, all line ends, comments, data in several lines; all of it legal
    SPLIT_EMOJI = "split_emoji"  # the halves of a surrogate pair in two deltas
    LONE_SURROGATE = "lone_surrogate"  # one half alone
    DUPLICATE = "duplicate"  # one delta twice
    HUGE_DELTA = "huge_delta"  # one delta of size_bytes [size_bytes]
    ENDLESS_LINE = "endless_line"  # size_bytes without a line end [size_bytes]
    GZIP_BOMB = "gzip_bomb"  # a small body that unpacks to size_bytes [size_bytes]
    UNKNOWN_EVENT = "unknown_event"  # types and fields of a future version
    JSON = "json"  # one JSON object where a stream was asked for
    AFTER_FINISH = "after_finish"  # text that follows the end
    NO_DONE = "no_done"  # chat: a finish reason, but no [DONE]
    DONE_ONLY = "done_only"  # [DONE], but no finish reason or completed event
    USAGE_ONLY = "usage_only"  # chat: a chunk without choices in mid-stream
    NULL_DELTA = "null_delta"  # chat: a delta that is null, and one whose content is
    TWO_CHOICES = "two_choices"  # chat: a second choice beside the first

    # what the model does
    ERROR = "error"  # an error as the last event [code]
    FAILED = "failed"  # Responses: response.failed [code]
    CONTENT_FILTER = "content_filter"  # ends there, by the filter
    REFUSAL = "refusal"  # refuses, in the fields meant for that
    REASONING = "reasoning"  # thinks first, and shows a summary
    TOOL_CALL = "tool_call"  # calls a function instead of answering


CHAT_ONLY: Final = frozenset(
    {FaultKind.NO_DONE, FaultKind.USAGE_ONLY, FaultKind.NULL_DELTA, FaultKind.TWO_CHOICES},
)
RESPONSES_ONLY: Final = frozenset({FaultKind.FAILED})
WITHOUT_STREAM: Final = frozenset(
    {
        *(FaultKind.RATE_LIMITED, FaultKind.STATUS, FaultKind.HTML, FaultKind.EMPTY, FaultKind.REDIRECT),
        *(FaultKind.CONTEXT_LENGTH_EXCEEDED, FaultKind.MUTE, FaultKind.CUT, FaultKind.SILENCE, FaultKind.STALL),
        *(FaultKind.SPLIT_EMOJI, FaultKind.LONE_SURROGATE, FaultKind.HUGE_DELTA, FaultKind.FAILED),
        *(FaultKind.CONTENT_FILTER, FaultKind.REFUSAL, FaultKind.REASONING, FaultKind.TOOL_CALL),
    },
)
"""Faults that an answer in one piece can have as well; the others are about the stream."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one answer.

    Attributes:
        kind: What it is.
        after_tokens: How many tokens come before it.
        status: HTTP status.
        code: OpenAI's code of the error.
        retry_after: Value of the header of that name, as it is: seconds, a date, or nonsense.
        retry_after_ms: Value of `retry-after-ms`, as it is.
        location: Where a redirect leads.
        every_ms: Time between two pieces.
        for_ms: Length of a stall.
        count: How many pieces; `None` is without end.
        size_bytes: How large.
        times: From a directive: how many requests with this prompt it strikes; `None` is all.
    """

    kind: FaultKind
    after_tokens: int = 3
    status: int | None = None
    code: str = "server_error"
    retry_after: str | None = None
    retry_after_ms: str | None = None
    location: str = "/v1/redirected"
    every_ms: float = 100.0
    for_ms: float = 1_000.0
    count: int | None = None
    size_bytes: int = 20_000_000
    times: int | None = None


_FIELDS: Final[Mapping[str, Callable[[str], object]]] = {
    **dict.fromkeys(("after_tokens", "status", "count", "size_bytes", "times"), int),
    **dict.fromkeys(("every_ms", "for_ms"), float),
    **dict.fromkeys(("code", "retry_after", "retry_after_ms", "location"), str),
}

_DIRECTIVE = "!fault"


def parse(prompt: str) -> tuple[Fault | None, str]:
    """Split a prompt into the fault that its first line asks for, if any, and the rest.

    Raises:
        Rejection: There is a directive, but not a valid one. A misspelled test must not pass.
    """
    line, _, rest = prompt.partition("\n")
    match line.split():
        case [word, kind, *options] if word == _DIRECTIVE:
            return _read(kind, options), rest
        case [word] if word == _DIRECTIVE:
            raise Rejection(f"A {_DIRECTIVE} directive needs a kind.", code="invalid_fault")
        case _:
            return None, prompt


def _read(kind: str, options: list[str]) -> Fault:
    fields: dict[str, object] = {}
    if kind.isdecimal():  # short for a status
        kind, fields["status"] = ("rate_limited" if kind == "429" else "status"), int(kind)
    try:
        for option in options:
            name, _, value = option.partition("=")
            fields[name] = _FIELDS[name](value)
        return Fault(FaultKind(kind), **fields)  # type: ignore[arg-type]  # _FIELDS gives each name its type
    except (KeyError, ValueError) as error:
        raise Rejection(f"Invalid {_DIRECTIVE} directive: {error}.", code="invalid_fault") from error


def check(fault: Fault, ask: Ask) -> None:
    """Raise `Rejection` if `fault` has no meaning for this request."""
    kind = fault.kind
    if (kind in CHAT_ONLY and ask.api is not Api.CHAT) or (kind in RESPONSES_ONLY and ask.api is not Api.RESPONSES):
        raise Rejection(f"The fault '{kind}' does not exist in this API.", code="invalid_fault")
    if not ask.stream and kind not in WITHOUT_STREAM:
        raise Rejection(f"The fault '{kind}' needs a stream.", code="invalid_fault")


class FaultSource:
    """Decides which fault strikes which request.

    Args:
        directives: Whether prompts may ask for faults.
    """

    def __init__(self, *, directives: bool) -> None:
        self._directives = directives
        self._injected: deque[Fault] = deque()
        self._struck: dict[str, int] = {}

    def inject(self, fault: Fault, *, times: int = 1) -> None:
        """Let `fault` strike the next `times` requests that no earlier one has claimed."""
        self._injected.extend([fault] * times)

    def clear(self) -> None:
        """Forget what was injected and has not struck yet."""
        self._injected.clear()

    def draw(self, prompt: str) -> tuple[Fault | None, str]:
        """Return the fault for a request, if any, and its prompt without the directive."""
        fault, rest = parse(prompt) if self._directives else (None, prompt)
        if self._injected:
            return self._injected.popleft(), rest
        if fault is not None and fault.times is not None:
            struck = self._struck.get(prompt, 0)
            self._struck[prompt] = struck + 1
            if struck >= fault.times:
                return None, rest
        return fault, rest
