"""The wire, without the wire: text to commands, values to frames' text.

    text --parse--> JSON object --decode--> command
    reply, error, signal: JSON bytes, ready to be framed

Invariants
    W1  Any text gives a command or exactly one `Refusal` that names the field at fault.
    W2  Nothing is coerced: `"1"`, `1.0` and `true` are not the integer 1.

Not here: frames and sockets (transport/); invalid UTF-8, which ends a connection (1007).
"""

from __future__ import annotations

import json
import math
import re
from hashlib import blake2b
from typing import Any, Final

import msgspec
import orjson

from roomcast.core.commands import COMMAND_TYPES, Command
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.ids import COMMAND_ID

__all__ = ["body_digest", "command_id", "decode", "error", "parse", "reply", "reply_error", "signal"]

MAX_DEPTH: Final = 32

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET: Final = re.compile(r"[\[\]{}]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parse(text: str) -> JsonObject:
    """Read one JSON object, strictly.

    Raises:
        Refusal: `invalid_json` for anything else: no JSON, no object, nested deeper than 32,
            a key twice, NaN or a number out of range, a lone surrogate.
    """
    _check_depth(text)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
    except ValueError as problem:
        raise Refusal("invalid_json", "this is not one JSON object: " + _plain(problem)) from None
    if not isinstance(value, dict):
        raise Refusal("invalid_json", "a command is a JSON object")
    if "\\u" in text and _has_surrogate(value):
        raise Refusal("invalid_json", "a string holds half of a surrogate pair")
    return value


def command_id(body: JsonObject) -> str | None:
    """The `id` of a command, if it can carry a reply."""
    found = body.get("id")
    return found if isinstance(found, str) and COMMAND_ID.fullmatch(found) else None


def decode(body: JsonObject) -> Command:
    """Turn a JSON object into a command.

    Raises:
        Refusal: `missing_field`, `unknown_field`, `invalid_type`, `invalid_value` or
            `unknown_command`, with `param` naming the field as a path.
    """
    name = body.get("type")
    if name is None:
        raise Refusal("missing_field", "a command has a type", param="type")
    if not isinstance(name, str):
        raise Refusal("invalid_type", "type is a string", param="type")
    kind = COMMAND_TYPES.get(name)
    if kind is None:
        raise Refusal("unknown_command", "there is no such command", param="type")
    if name in {"response.create", "response.steer"} and isinstance(body.get("input"), list):
        body = {**body, "input": [_typed_message(part) for part in body["input"]]}
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as problem:
        raise _refusal(str(problem)) from None


def body_digest(body: JsonObject) -> bytes:
    """Digest of a command without its `id`: equal for equal commands, however written."""
    rest = {name: value for name, value in body.items() if name != "id"}
    return blake2b(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def reply(command_id: str, result: bytes) -> bytes:
    """The answer to a command that was carried out; `result` is encoded JSON."""
    return b'{"type":"reply","id":"%b","ok":true,"result":%b}' % (command_id.encode(), result)


def reply_error(command_id: str, refusal: Refusal) -> bytes:
    """The answer to a command that was refused."""
    return orjson.dumps({"type": "reply", "id": command_id, "ok": False, "error": refusal.as_json()})


def error(refusal: Refusal) -> bytes:
    """What a sender hears when no reply is possible, for want of a valid `id`."""
    return orjson.dumps({"type": "error", "error": refusal.as_json()})


def signal(name: str, room: str | None = None, **fields: Any) -> bytes:
    """Something ephemeral: it has no `seq`."""
    where = {} if room is None else {"room": room}
    return orjson.dumps({"type": name, **where, **fields})


# ---- strictness ------------------------------------------------------------------------------


def _check_depth(text: str) -> None:
    """Refuse deep nesting before a parser recurses into it. Linear in the text."""
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > MAX_DEPTH:
            raise Refusal("invalid_json", f"nested deeper than {MAX_DEPTH}")


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _has_surrogate(value: object) -> bool:
    if isinstance(value, str):
        return _SURROGATE.search(value) is not None
    if isinstance(value, dict):
        return any(_has_surrogate(name) or _has_surrogate(inner) for name, inner in value.items())
    return isinstance(value, list) and any(_has_surrogate(inner) for inner in value)


def _plain(problem: ValueError) -> str:
    """The parser's words without the text it stumbled over."""
    if isinstance(problem, json.JSONDecodeError):
        return f"{problem.msg} at character {problem.pos}"
    return str(problem) if "key" in str(problem) or "JSON" in str(problem) or "range" in str(problem) else "bad number"


def _typed_message(part: object) -> object:
    """OpenAI lets a message in `input` go without its `type`."""
    if isinstance(part, dict) and "role" in part and "type" not in part:
        return {"type": "message", **part}
    return part


# ---- msgspec's words in ours -----------------------------------------------------------------

_PATH: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_QUOTED: Final = re.compile(r"field `([^`]+)`")
_GOT: Final = re.compile(r"^Expected `[^`]+`, got ")


def _refusal(problem: str) -> Refusal:
    """Translate a validation message; they have the shape `what - at `$.path``."""
    at = _PATH.search(problem)
    path = at.group(1) if at else ""
    what = _PATH.sub("", problem)
    quoted = _QUOTED.search(what)
    if what.startswith("Object missing required") and quoted:
        return Refusal("missing_field", "this field is required", param=_join(path, quoted.group(1)))
    if what.startswith("Object contains unknown") and quoted:
        return Refusal("unknown_field", "there is no such field", param=_join(path, quoted.group(1)))
    if _GOT.match(what):
        return Refusal("invalid_type", what[0].lower() + what[1:].replace("`", ""), param=path or None)
    return Refusal("invalid_value", what[0].lower() + what[1:].replace("`", ""), param=path or None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
