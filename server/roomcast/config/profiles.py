"""Profiles: one TOML file each, in the folder `profiles` beside the settings file.

`default` always exists: the package ships one, and a file of that name takes its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from roomcast.config.problems import Problems, Unfit
from roomcast.config.sources import DEFAULT, read_table
from roomcast.core.profile import Profile

__all__ = ["FoundProfile", "read_profiles"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_OURS: Final = frozenset(
    {"background", "conversation", "input", "model", "previous_response_id", "prompt", "stream", "stream_options"}
)
"""Fields of a request that the server decides: what is asked, of which model, and how it comes back."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str = ""
    instructions: str = ""
    parameters: dict[str, Any] = {}
    allow: tuple[str, ...] = tuple(Profile(name="").allow)
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundProfile:
    """A profile and where it was found."""

    profile: Profile
    source: str


def read_profiles(packaged: Path, beside: Path | None, *, model: str, problems: Problems) -> dict[str, FoundProfile]:
    """Return the profiles by name.

    Args:
        packaged: Folder of profiles that ship with the package.
        beside: Folder beside the settings file, if there is one.
        model: What a profile without a model of its own uses.
        problems: Takes what is wrong.
    """
    files = [(path, DEFAULT) for path in packaged.glob("*.toml")]
    files += [(path, f"file {path}") for path in sorted(beside.glob("*.toml") if beside else ())]
    found: dict[str, FoundProfile] = {}
    for path, source in files:
        try:
            found[path.stem] = FoundProfile(_profile(path, model), source)
        except Unfit as unfit:
            problems.unfit(f"profiles.{path.stem}", unfit, source)
    return found


def _profile(path: Path, model: str) -> Profile:
    if not _NAME.fullmatch(path.stem):
        raise Unfit("a file name of 1 to 64 of A-Z a-z 0-9 . _ -, not starting with a sign")
    table = read_table(path)
    for name in table.keys() - set(_File.__struct_fields__):
        close = get_close_matches(name, _File.__struct_fields__, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise Unfit(f"only the keys {', '.join(_File.__struct_fields__)}; {name} is unknown{hint}")
    try:
        file = msgspec.convert(table, _File)
    except msgspec.ValidationError as error:
        raise Unfit(f"another type: {error}") from None
    for field, names in (("parameters", file.parameters), ("allow", file.allow)):
        if taken := sorted(_OURS.intersection(names)):
            reason = "models are named in `model` and `models`" if taken[0] == "model" else "the server sets it"
            raise Unfit(f"{field} without {taken[0]}; {reason}")
    if wrong := _not_json(file.parameters, "parameters"):
        raise Unfit(f"values that JSON has; {wrong} is none")
    return Profile(
        name=path.stem,
        model=file.model or model,
        instructions=file.instructions.strip(),
        parameters=file.parameters,
        allow=file.allow,
        models=file.models,
    )


def _not_json(value: object, path: str) -> str | None:
    """The path of the first value in `value` that cannot be sent as JSON (dates, NaN, huge numbers)."""
    if isinstance(value, Mapping):
        children = [(f"{path}.{name}", child) for name, child in cast("Mapping[str, object]", value).items()]
        return next((wrong for name, child in children if (wrong := _not_json(child, name))), None)
    if isinstance(value, list):
        items = enumerate(cast("Sequence[object]", value))
        return next((wrong for index, child in items if (wrong := _not_json(child, f"{path}[{index}]"))), None)
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else path
    return None if isinstance(value, str) else path
