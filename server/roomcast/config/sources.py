"""Where values come from: flag > environment > file > packaged default. The only reader of the environment.

    ROOMCAST_SECTION__KEY      each key; two underscores between section and key; empty means unset
    ROOMCAST_…_FILE            for secrets: the name of a file that holds the value
    OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID, OPENAI_PROJECT_ID, PORT
                               as other programs use them; ROOMCAST_… goes before

Not here: whether a value will do (values.py).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from roomcast.config.keys import FILE_SUFFIX, KEYS, PREFIX, Key, suggestion
from roomcast.config.problems import Problems, Unfit

__all__ = ["DEFAULT", "Given", "gather", "read_secret", "read_table"]

DEFAULT: Final = "default"

_ALIASES: Final[Mapping[str, tuple[str, str]]] = {
    "OPENAI_API_KEY": ("upstream", "api_key"),
    "OPENAI_API_KEY_FILE": ("upstream", "api_key_file"),
    "OPENAI_BASE_URL": ("upstream", "base_url"),
    "OPENAI_ORG_ID": ("upstream", "organization"),
    "OPENAI_PROJECT_ID": ("upstream", "project"),
    "PORT": ("server", "port"),
}

_FILE_BYTES: Final = 1024 * 1024
"""Largest file that we read; guards against being pointed at a device."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was written, and where.

    Attributes:
        source: For people: `flag`, `environment PORT`, `file config/roomcast.toml` or `default`.
        lenient: Whether it is a text that may stand for another type.
        folder: What file names in the value are relative to.
    """

    raw: object
    source: str
    lenient: bool
    folder: Path


def gather(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: Mapping[str, object],
    path: Path | None,
    problems: Problems,
) -> dict[str, Given]:
    """Collect what was set, by path of the key.

    Args:
        flags: By path (`server.port`); None means that the flag was not given.
        environ: All of it; names that are not ours are ignored.
        file: The parsed file.
        path: Where the file is.
        problems: Takes what is wrong.
    """
    here = Path()
    layers = (
        _flags(flags, here, problems),
        _environment(environ, here, problems),
        _aliases(environ, here),
        _table(file, f"file {path}", path.parent if path else here, problems),
    )
    found: dict[str, Given] = {}
    for layer in layers:
        found = _known(layer, problems) | found  # what was found before goes first
    return found


def _known(layer: Iterator[tuple[str, str, Given]], problems: Problems) -> dict[str, Given]:
    """One source's values by path of the key, with files of secrets read."""
    values: dict[str, Given] = {}
    for section, name, given in layer:
        key = _key(section, name)
        if key is None:
            problems.add(f"{section}.{name}", f"unknown key{suggestion(section, name)}", source=given.source)
        elif key.path in values:
            problems.add(key.path, "given as a value and as a file; keep one", source=given.source)
        elif name == key.name:
            values[key.path] = given
        else:
            try:
                text = read_secret(given.raw, given.folder)
            except Unfit as unfit:
                problems.unfit(key.path, unfit, given.source)
            else:
                values[key.path] = Given(text, given.source, lenient=True, folder=given.folder)
    return values


def _key(section: str, name: str) -> Key | None:
    keys = KEYS.get(section, {})
    if name in keys:
        return keys[name]
    key = keys.get(name.removesuffix(FILE_SUFFIX)) if name.endswith(FILE_SUFFIX) else None
    return key if key is not None and key.secret else None


def _flags(flags: Mapping[str, object], here: Path, problems: Problems) -> Iterator[tuple[str, str, Given]]:
    for path, raw in flags.items():
        section, _, name = path.partition(".")
        key = _key(section, name)
        if raw is None:
            continue
        if key is not None and key.secret:
            problems.add(path, f"other users can read arguments; set {key.variable}_FILE", source="flag")
            continue
        yield section, name, Given(raw, "flag", lenient=True, folder=here)


def _environment(environ: Mapping[str, str], here: Path, problems: Problems) -> Iterator[tuple[str, str, Given]]:
    single = {key.variable.replace("__", "_"): key for keys in KEYS.values() for key in keys.values()}
    for variable, raw in environ.items():
        if not variable.startswith(PREFIX) or not raw.strip():
            continue
        section, separator, name = variable.removeprefix(PREFIX).lower().partition("__")
        if separator:
            yield section, name, Given(raw, f"environment {variable}", lenient=True, folder=here)
        elif variable in single and not raw.startswith(("tcp://", "udp://")):  # Kubernetes sets such names itself
            problems.add(variable, f"two underscores are needed: {single[variable].variable}", source="environment")


def _aliases(environ: Mapping[str, str], here: Path) -> Iterator[tuple[str, str, Given]]:
    for variable, (section, name) in _ALIASES.items():
        if raw := environ.get(variable, "").strip():
            yield section, name, Given(raw, f"environment {variable}", lenient=True, folder=here)


def _table(
    table: Mapping[str, object], source: str, folder: Path, problems: Problems
) -> Iterator[tuple[str, str, Given]]:
    for section, content in table.items():
        if section == "profiles":
            problems.add(
                "profiles", "each profile is a file of its own, profiles/NAME.toml beside this one", source=source
            )
        elif section not in KEYS or not isinstance(content, dict):
            hint = f"; write [{section}]" if section in KEYS else suggestion("", section)
            problems.add(section, f"unknown key{hint}", source=source)
        else:
            for name, raw in cast("dict[str, object]", content).items():
                yield section, name, Given(raw, source, lenient=False, folder=folder)


def read_table(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        Unfit: Saying what is wrong with it, without its content.
    """
    try:
        return tomllib.loads(_read(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unfit(f"UTF-8; byte {error.start} is not") from None
    except tomllib.TOMLDecodeError as error:
        raise Unfit(f"TOML; {error}") from None


def read_secret(name: object, folder: Path) -> str:
    """The content of the file `name`, less one newline at its end.

    Raises:
        Unfit: Without the content, and without the name: people mistake this for the key itself.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise Unfit("the name of a file")
    try:
        text = _read(folder / os.path.expanduser(name)).decode("utf-8")
    except UnicodeDecodeError:
        raise Unfit("a file of text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise Unfit("a file that is not empty")
    return text


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise Unfit(f"a readable file; {error.strerror}") from None
    if len(content) > _FILE_BYTES:
        raise Unfit(f"a file of at most {_FILE_BYTES:,} bytes")
    return content
