"""Bearer tokens of `[[auth.tokens]]`: who speaks when somebody shows one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from roomcast.config.problems import Problems, Unfit
from roomcast.config.sources import Given, read_secret
from roomcast.config.values import secret
from roomcast.core.session import SYSTEM, Role
from roomcast.core.settings import Secret, StaticToken

__all__ = ["EXAMPLE", "decode_tokens"]

EXAMPLE: Final = (
    'put [[auth.tokens]] into the file, with token_file = "FILE" (or token, or token_env = "VARIABLE"), '
    'member = "ann", name = "Ann" and role = "owner"'
)
"""What to write, for messages."""

_LEAST: Final = 16
"""Shortest token that nobody guesses, in characters."""

_MEMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}")
_ROLES: Final[Mapping[str, Role]] = {role.wire: role for role in Role}
_SOURCES: Final = ("token", "token_file", "token_env")
_FIELDS: Final = (*_SOURCES, "member", "name", "role")


def decode_tokens(
    given: Given, *, environ: Mapping[str, str], name_characters: int, problems: Problems
) -> tuple[StaticToken, ...]:
    """Return the tokens; each that will not do is noted without its value.

    Args:
        given: The tables of the file, or a text: the same as a JSON list of objects.
        environ: Where `token_env` looks.
        name_characters: Longest display name.
        problems: Takes what is wrong.
    """
    tokens: list[StaticToken] = []
    try:
        for index, entry in enumerate(_entries(given.raw)):
            try:
                token = _token(entry, given.folder, environ, name_characters)
            except Unfit as unfit:
                raise Unfit(f"{unfit.expected} in entry {index + 1}") from None
            if any(token.token == other.token for other in tokens):
                raise Unfit(f"a token of its own in entry {index + 1}; an earlier entry has the same")
            tokens.append(token)
    except Unfit as unfit:
        problems.unfit("auth.tokens", unfit, given.source)
    return tuple(tokens)


def _entries(raw: object) -> list[dict[str, object]]:
    if isinstance(raw, str):
        try:
            raw = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            raise Unfit("a JSON list of objects") from None
    try:
        return msgspec.convert(raw, list[dict[str, object]])
    except msgspec.ValidationError:
        raise Unfit(f"a list of tables; {EXAMPLE}") from None


def _token(entry: Mapping[str, object], folder: Path, environ: Mapping[str, str], name_characters: int) -> StaticToken:
    if unknown := sorted(entry.keys() - set(_FIELDS)):
        raise Unfit(f"only the keys {', '.join(_FIELDS)}; {unknown[0]} is unknown")
    member, name, role = entry.get("member"), entry.get("name", entry.get("member")), entry.get("role")
    if not isinstance(member, str) or not _MEMBER.fullmatch(member):
        raise Unfit("member to be 1 to 64 of A-Z a-z 0-9 _ . : @ -, not starting with a sign")
    if member == SYSTEM.id:
        raise Unfit(f"another member; {SYSTEM.id} is the server itself")
    if not isinstance(name, str) or not 1 <= len(name) <= name_characters or not name.isprintable():
        raise Unfit(f"name to be 1 to {name_characters} printable characters")
    if not isinstance(role, str) or role not in _ROLES:
        raise Unfit(f"role to be one of {', '.join(_ROLES)}")
    return StaticToken(token=_value(entry, folder, environ), member=member, name=name, role=_ROLES[role])


def _value(entry: Mapping[str, object], folder: Path, environ: Mapping[str, str]) -> Secret:
    given = [source for source in _SOURCES if source in entry]
    if len(given) != 1:
        raise Unfit(f"exactly one of {', '.join(_SOURCES)}")
    source, raw = given[0], entry[given[0]]
    if source == "token_file":
        raw = read_secret(raw, folder)
    elif source == "token_env":
        variable = raw
        raw = environ.get(variable) if isinstance(variable, str) else None
        if not raw:
            raise Unfit("token_env to name a variable of the environment that is set")
    try:
        value = secret(raw)
    except Unfit as unfit:
        raise Unfit(f"{source} to give {unfit.expected}") from None
    if len(value.value) < _LEAST:
        raise Unfit(f"{source} to give at least {_LEAST} characters, such as `openssl rand -hex 24` prints")
    return value
