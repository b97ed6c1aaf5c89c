"""The settings in force, for people: `roomcast config show`."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, cast

from roomcast.config.keys import KEYS
from roomcast.config.loading import Loaded
from roomcast.core.profile import Profile
from roomcast.core.session import Role
from roomcast.core.settings import Secret, StaticToken

__all__ = ["effective"]

HIDDEN: Final = "***"


def effective(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Return `{path: {"value": …, "source": …}}` in the order of declaration; ready for JSON.

    A secret that is set shows as `***`, one that is not as None.
    """
    shown: dict[str, dict[str, Any]] = {}
    for section, keys in KEYS.items():
        filled = getattr(loaded.settings, section)
        for name, key in keys.items():
            shown[key.path] = {"value": _plain(getattr(filled, name)), "source": loaded.sources[key.path]}
    for name, profile in loaded.settings.profiles.items():
        path = f"profiles.{name}"
        shown[path] = {"value": _plain(profile), "source": loaded.sources[path]}
    return shown


def _plain(value: object) -> Any:
    match value:
        case Secret():
            return HIDDEN
        case Role():
            return value.wire
        case StaticToken() | Profile():
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case tuple():
            return [_plain(item) for item in cast("tuple[object, ...]", value)]
        case _:
            return value
