"""The wire, without the wire: text to commands, values to frames' text.

    text --parse--> JSON object --decode--> command
    reply, error, signal: JSON bytes, ready to be framed

Invariants
    W1  Any text gives a command or exactly one `Refusal`, which names the field at fault.
    W2  Nothing is coerced: `"1"`, `1.0` and `true` are not the integer 1.
    W3  The time that a text takes is linear in its length.
    W4  Whatever is accepted can be encoded again, by `body_digest` and in events.
    W5  A refusal repeats nothing of what was sent but the name of the field.

Not here: frames and sockets (transport/); invalid UTF-8, which ends a connection (1007).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

import msgspec
import orjson

from roomcast.core.commands import COMMAND_TYPES, MAX_INTEGER, Command
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject, as_array, as_object
from roomcast.core.ids import COMMAND_ID

__all__ = ["body_digest", "command_id", "decode", "error", "parse", "reply", "reply_error", "signal"]

MAX_DEPTH: Final = 32
MAX_PARAM: Final = 200
"""Characters of a field's name that are repeated to its sender."""

# A string that is never closed still matches, up to the end: were it not to match, the search
# would go on from each of its quotes, which is quadratic in the text.
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parse(text: str) -> JsonObject:
    """Read one JSON object, strictly.

    Raises:
        Refusal: `invalid_json` for anything else: no JSON, no object, nested deeper than 32,
            a key twice, NaN or a number out of range, a lone surrogate.
    """
    _check_depth(text)
    try:
        value = as_object(
            json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
        )
    except json.JSONDecodeError as problem:
        raise Refusal("invalid_json", f"this is not JSON: {problem.msg} at character {problem.pos}") from None
    except _Unfit as problem:
        raise Refusal("invalid_json", str(problem)) from None
    except ValueError:  # Python converts no more than 4300 digits
        raise Refusal("invalid_json", "a number is out of range") from None
    if value is None:
        raise Refusal("invalid_json", "a command is a JSON object")
    if ("\\u" in text or not text.isascii()) and any(_SURROGATE.search(found) for found in _strings(value)):
        raise Refusal("invalid_json", "a string holds half of a surrogate pair")
    return value


def command_id(body: JsonObject) -> str | None:
    """The `id` of a command, if it can carry a reply."""
    found = body.get("id")
    return found if isinstance(found, str) and COMMAND_ID.fullmatch(found) else None


def decode(body: JsonObject) -> Command:
    """Turn a JSON object into a command. A field that need not be there may be null, which is not being there.

    Raises:
        Refusal: `missing_field`, `unknown_field`, `invalid_type`, `invalid_value` or
            `unknown_command`, with `param` naming the field as a path.
    """
    if "type" not in body:
        raise Refusal("missing_field", "a command has a type", param="type")
    name = body["type"]
    if not isinstance(name, str):
        raise Refusal("invalid_type", "type is a string", param="type")
    kind = COMMAND_TYPES.get(name)
    if kind is None:
        raise Refusal("unknown_command", "there is no such command", param="type")
    optional = {field.encode_name for field in msgspec.structs.fields(kind) if not field.required}
    body = {field: value for field, value in body.items() if value is not None or field not in optional}
    given = as_array(body.get("input"))
    if given is not None and name in {"response.create", "response.steer"}:
        body = {**body, "input": [_typed_message(part) for part in given]}
    try:
        command = msgspec.convert(body, kind)
    except msgspec.ValidationError as problem:
        raise _refusal(str(problem)) from None
    too_large = next(_large_integers(body, ""), None)
    if too_large is not None:
        raise Refusal("invalid_value", f"an integer is beyond {MAX_INTEGER}", param=too_large[:MAX_PARAM])
    return command


def body_digest(body: JsonObject) -> bytes:
    """Digest of a command without its `id`: equal for equal commands, however written."""
    rest = {name: value for name, value in body.items() if name != "id" and value is not None}
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


class _Unfit(ValueError):
    """JSON as such, but not as we want it; says why in words for the sender."""


def _check_depth(text: str) -> None:
    """Refuse deep nesting before a parser recurses into it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        token = found.group()
        if token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise Refusal("invalid_json", f"nested deeper than {MAX_DEPTH}")


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unfit("a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> float:
    raise _Unfit(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Unfit("a number is out of range")
    return number


def _strings(value: object) -> Iterator[str]:
    """Every string in a JSON value, names too."""
    if isinstance(value, str):
        yield value
    for name, inner in (as_object(value) or {}).items():
        yield name
        yield from _strings(inner)
    for inner in as_array(value) or ():
        yield from _strings(inner)


def _large_integers(value: object, path: str) -> Iterator[str]:
    """Paths of integers that not every JSON reader, ours included, can tell from their neighbours."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        yield path
    for name, inner in (as_object(value) or {}).items():
        yield from _large_integers(inner, _join(path, name))
    for position, inner in enumerate(as_array(value) or ()):
        yield from _large_integers(inner, f"{path}[{position}]")


def _typed_message(part: object) -> object:
    """OpenAI lets a message in `input` go without its `type`."""
    message = as_object(part)
    return {"type": "message", **message} if message and "role" in message and "type" not in message else part


# ---- msgspec's words in ours -----------------------------------------------------------------

_PATH: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")
_FIELD: Final = re.compile(r"^Object (missing required|contains unknown) field `(.*)`$", re.DOTALL)
_GOT: Final = re.compile(r"^Expected `[^`]+`, got ")
_REGEX: Final = re.compile(r" matching regex '\^?(.*?)(?:\\\\Z)?'$")


def _refusal(problem: str) -> Refusal:
    """Translate a validation message; they have the shape `what - at `$.path``."""
    at = _PATH.search(problem)
    path = at.group(1) if at else ""
    what = _PATH.sub("", problem)
    if field := _FIELD.match(what):
        missing, param = field.group(1) == "missing required", _join(path, field.group(2))[:MAX_PARAM]
        if missing:
            return Refusal("missing_field", "this field is required", param=param)
        return Refusal("unknown_field", "there is no such field", param=param)
    code = "invalid_type" if _GOT.match(what) else "invalid_value"
    if what.startswith("Invalid"):
        words = "this is none of the values that it may have"
    else:
        words = _REGEX.sub(r" of the form \1", what[0].lower() + what[1:]).replace("`", "")
    return Refusal(code, words, param=path[:MAX_PARAM] or None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
