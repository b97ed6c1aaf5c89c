"""What a playing answer does next, as data: `http` carries it out, tests read it without a socket."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roomcast.upstream.demo.settings import DemoSettings

__all__ = ["HOLD", "Cut", "Hold", "Pace", "Pause", "Performance", "Reply", "Request", "Send", "Step"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send `payload` as one chunk of the body."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Let `seconds` pass, counted from when the previous pause was due, so that errors do not add up."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection without ending the body: a reset, or else a plain close."""

    reset: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """Stay open and silent until the client leaves."""


Step = Send | Pause | Cut | Hold

HOLD: Final = Hold()


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP response."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Performance:
    """A response that takes time. The body ends where `steps` ends; its head goes out with the first `Send`."""

    steps: Iterator[Step]
    headers: tuple[tuple[str, str], ...]
    status: int = 200


class Pace:
    """When pieces come: the rhythm of one answer, reproducible as its text is.

    Args:
        settings: Means and spread.
        key: What the answer depends on; equal keys have equal rhythms.
    """

    def __init__(self, settings: DemoSettings, key: str) -> None:
        self._settings = settings
        self._random = random.Random(f"pace/{settings.seed}/{key}")

    def before_first(self) -> Pause:
        """Return the wait for the first piece."""
        return Pause(self._settings.first_token_ms / 1000 * self._factor())

    def after_piece(self) -> Pause:
        """Return the wait that follows a piece."""
        return Pause(self._factor() / self._settings.tokens_per_second)

    def _factor(self) -> float:
        jitter = self._settings.jitter
        return self._random.uniform(1 - jitter, 1 + jitter)
