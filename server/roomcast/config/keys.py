"""Every key there is, read off the frozen types of core/settings.py and core/limits.py.

A field of a section is a key; its annotation says what it takes, its default is the default, and
the unit at the end of its name says which bounds are sensible. Only what that rule does not cover
stands in a table here.

Not here: where values come from (sources.py) and what a text means (values.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, get_type_hints

from roomcast.core.limits import MIB
from roomcast.core.settings import Secret, Settings, StaticToken

__all__ = ["KEYS", "SECTIONS", "Bound", "Key", "suggestion"]

PREFIX: Final = "ROOMCAST_"
FILE_SUFFIX: Final = "_file"

_YEAR_S: Final = 365 * 86_400.0
_MANY: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bound:
    """The numbers a key takes: from `low` (excluded when `above`) to `high`."""

    low: float
    high: float
    above: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value` is within; never true for NaN."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low, high = f"{self.low:,.15g}", f"{self.high:,.15g}"
        return f"above {low} and at most {high}" if self.above else f"from {low} to {high}"


_BOUNDS: Final[Mapping[str, Bound]] = {
    "server.port": Bound(0, 65_535),  # 0: any free port, named in the start-up line
    "server.workers": Bound(1, 1_024),
    "server.drain_timeout_s": Bound(0, 86_400),  # 0: do not wait
    "rooms.debounce_s": Bound(0, 3_600),  # 0: as "latest"
    "rooms.orphan_grace_s": Bound(0, 86_400),  # 0: as soon as the last viewer has left
    "demo.seed": Bound(-(2**63), 2**63 - 1),
    "demo.first_token_ms": Bound(0, 600_000),
    "demo.tokens_per_second": Bound(0, 1_000_000, above=True),
    "demo.jitter": Bound(0, 1),
    # Clients rely on it: no frame from the server exceeds 1 MiB (docs/protocol.md).
    "limits.frame_bytes": Bound(1, MIB),
}


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    Attributes:
        hint: Its annotation, resolved.
        secret: Never shown; may also be given as a file that holds it.
        bound: For numbers, what is sensible.
    """

    section: str
    name: str
    hint: Any
    default: object
    secret: bool
    bound: Bound | None

    @property
    def path(self) -> str:
        """As in the file: `server.port`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """As in the environment: `ROOMCAST_SERVER__PORT`."""
        return f"{PREFIX}{self.section}__{self.name}".upper()


def _bound(path: str, hint: object) -> Bound | None:
    if path in _BOUNDS:
        return _BOUNDS[path]
    if hint is int:
        return Bound(1, 2**30 if path.endswith("_bytes") else _MANY)
    if hint in (float, float | None):
        return Bound(0, _YEAR_S if path.endswith("_s") else _MANY, above=True)
    return None


def _default(field: dataclasses.Field[Any]) -> object:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _keys_of(section: str, kind: type[Any]) -> Mapping[str, Key]:
    hints = get_type_hints(kind)
    keys: dict[str, Key] = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        path = f"{section}.{field.name}"
        secret = Secret in getattr(hint, "__args__", ()) or StaticToken in getattr(hint, "__args__", ())
        keys[field.name] = Key(section, field.name, hint, _default(field), secret, _bound(path, hint))
    return keys


SECTIONS: Final[Mapping[str, type[Any]]] = {
    name: hint
    for name, hint in get_type_hints(Settings).items()
    if isinstance(hint, type) and dataclasses.is_dataclass(hint)
}
"""Each section of the file with the type that it fills. Profiles are files of their own."""

KEYS: Final[Mapping[str, Mapping[str, Key]]] = {name: _keys_of(name, kind) for name, kind in SECTIONS.items()}
"""Every key, by section and name, in the order of declaration."""


_PATHS: Final = [key.path for keys in KEYS.values() for key in keys.values()]


def suggestion(section: str, name: str) -> str:
    """The end of a message about an unknown key: what its writer may have meant, or nothing."""
    path = f"{section}.{name}" if section else name
    for known in _PATHS:
        if known.partition(".")[2] == name:  # right key, wrong section
            return f"; did you mean {known}?"
    if close := get_close_matches(path, _PATHS, n=1, cutoff=0.75):
        return f"; did you mean {close[0]}?"
    if section in KEYS:
        return f"; [{section}] has {', '.join(KEYS[section])}"
    return f"; the sections are {', '.join(KEYS)}"
