"""What can be wrong with settings: one value, and all that was found together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roomcast.core.errors import ServerError

__all__ = ["ConfigError", "Problems", "Unfit"]

_SHOWN: Final = 80
"""Longest part of a wrong value that a message repeats, in characters."""

_NOTHING: Final = object()


class Unfit(ValueError):
    """One value is not what its key takes.

    Attributes:
        expected: What would do, as the end of a sentence that starts with "expected".
        shown: The value as a message may repeat it; empty for secrets.
    """

    def __init__(self, expected: str, value: object = _NOTHING) -> None:
        super().__init__(expected)
        self.expected = expected
        shown = "" if value is _NOTHING else repr(value)
        self.shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


class ConfigError(ServerError):
    """The settings do not hold together, and the server does not start.

    Attributes:
        problems: One line each, all that were found, each naming its key and where it was set.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        count = len(problems)
        title = "1 problem in the settings" if count == 1 else f"{count} problems in the settings"
        super().__init__("\n  - ".join([f"{title}:", *problems]))
        self.problems = tuple(problems)


class Problems:
    """Everything that was found wrong so far, and which keys it concerns."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._broken: set[str] = set()

    def add(self, what: str, why: str, *, source: str | None = None) -> None:
        """Note that `what` (a path, or a path with a value) is wrong."""
        self._lines.append(f"{what} ({source}): {why}" if source else f"{what}: {why}")

    def unfit(self, path: str, unfit: Unfit, source: str) -> None:
        """Note that the value of `path` will not do; rules that need it are not tried."""
        self._broken.add(path)
        self.add(f"{path} = {unfit.shown}" if unfit.shown else path, f"expected {unfit.expected}", source=source)

    def touch(self, *paths: str) -> bool:
        """Whether one of `paths` has no usable value."""
        return not self._broken.isdisjoint(paths)

    def raise_if_any(self) -> None:
        """Raise `ConfigError` with all of them."""
        if self._lines:
            raise ConfigError(self._lines)
