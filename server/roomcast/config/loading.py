"""Settings from everything that sets them, all problems at once.

    flags, environment, file, packaged defaults ─► gather ─► decode each ─► check together ─► Settings

Nothing is read later: the result is frozen, and the rest of the program only sees that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from roomcast.config.addresses import is_loopback
from roomcast.config.checks import check
from roomcast.config.keys import KEYS, SECTIONS
from roomcast.config.problems import Problems, Unfit
from roomcast.config.profiles import read_profiles
from roomcast.config.sources import DEFAULT, Given, gather, read_table
from roomcast.config.tokens import decode_tokens
from roomcast.config.values import decode
from roomcast.core.settings import Settings

__all__ = ["Loaded", "inspect", "load"]

PACKAGED: Final = Path(__file__).parent / "defaults"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each came from.

    Attributes:
        sources: By path (`server.port`, `profiles.default`): `flag`, `environment VARIABLE`,
            `file PATH` or `default`.
    """

    settings: Settings
    sources: Mapping[str, str]


def load(*, flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None) -> Settings:
    """Return the settings in force: flag > environment > file > default.

    Args:
        flags: By path, such as `{"server.port": 9000}`; None means that the flag was not given.
        environ: The environment; `ROOMCAST_CONFIG` names the file when `file` is None.
        file: A TOML file; without one there is none (nothing is looked for in the working folder).
            Profiles are read from the folder `profiles` beside it.

    Raises:
        ConfigError: With everything that is wrong.
    """
    return inspect(flags=flags, environ=environ, file=file).settings


def inspect(*, flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None) -> Loaded:
    """As `load`, and say where each value came from."""
    problems = Problems()
    if file is None and (named := environ.get("ROOMCAST_CONFIG", "").strip()):
        file = Path(named)
    given = gather(flags, environ, _table(file, problems), file, problems)
    values = _values(given, problems)
    if (tokens := given.get("auth.tokens")) is not None:
        characters = cast("int", values["limits.name_characters"])
        values["auth.tokens"] = decode_tokens(tokens, environ=environ, name_characters=characters, problems=problems)
    if "auth.mode" not in given:
        values["auth.mode"] = "off" if is_loopback(str(values["server.host"])) else "token"
    values["storage.url"] = str(values["storage.url"]).replace("{data}", str(values["storage.data"]))
    check(values, problems)
    profiles = read_profiles(
        PACKAGED / "profiles",
        file.parent / "profiles" if file else None,
        model=str(values["upstream.model"]),
        problems=problems,
    )
    problems.raise_if_any()

    sections: dict[str, Any] = {
        section: kind(**{name: values[key.path] for name, key in KEYS[section].items()})
        for section, kind in SECTIONS.items()
    }
    sources = {path: given[path].source if path in given else DEFAULT for path in values}
    sources |= {f"profiles.{name}": found.source for name, found in profiles.items()}
    return Loaded(Settings(**sections, profiles={name: found.profile for name, found in profiles.items()}), sources)


def _values(given: Mapping[str, Given], problems: Problems) -> dict[str, object]:
    """The value of every key; the default where none was given or what was given will not do."""
    packaged = gather({}, {}, read_table(PACKAGED / "roomcast.toml"), PACKAGED, problems)
    values: dict[str, object] = {}
    for key in (key for keys in KEYS.values() for key in keys.values()):
        values[key.path] = packaged[key.path].raw if key.path in packaged else key.default
        found = given.get(key.path)
        if found is None or key.path == "auth.tokens":  # these need a value of this table
            continue
        try:
            values[key.path] = decode(key, found.raw, lenient=found.lenient)
        except Unfit as unfit:
            problems.unfit(key.path, unfit, found.source)
    return values


def _table(file: Path | None, problems: Problems) -> Mapping[str, object]:
    try:
        return read_table(file) if file else {}
    except Unfit as unfit:
        problems.unfit(str(file), unfit, "file")
        return {}
