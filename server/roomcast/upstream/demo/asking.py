"""Understand a request body of either API: what is asked, in which form, and what OpenAI would refuse.

Pure. The messages, types and codes of refusals are OpenAI's, since clients are written against them.

Not here: headers and paths (server.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, cast

import orjson

from roomcast.upstream.demo.tokens import estimate
from roomcast.upstream.demo.wire import error_body

__all__ = ["Api", "Ask", "Rejection", "ask_chat", "ask_responses", "count_input"]

_TOKENS_PER_MESSAGE = 4


class Api(StrEnum):
    """The two ways to ask for text."""

    RESPONSES = "responses"
    CHAT = "chat_completions"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for text, the same for both APIs.

    Attributes:
        api: How it was asked, and so how it is answered.
        prompt: Text of the newest message of a user; empty when there is none.
        input_tokens: Estimate over everything that was sent.
        stream: Whether events are wanted, instead of one object at the end.
        max_tokens: Most pieces to send.
        include_usage: Whether a chat stream shall end with its usage.
        obfuscate: Whether deltas carry padding, which is the default of both APIs.
        body: The request itself; OpenAI repeats some of its fields.
    """

    api: Api
    prompt: str
    input_tokens: int
    stream: bool
    max_tokens: int | None
    include_usage: bool
    obfuscate: bool
    body: Mapping[str, object]


class Rejection(Exception):
    """Raised when a request is refused; `body` is what the client gets to read."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(message, type=type, param=param, code=code)


def ask_responses(raw: bytes) -> Ask:
    """Read the body of `POST /v1/responses`, or raise `Rejection`."""
    body = _parse(raw)
    _text(body, "model")
    prompt, input_tokens = _read_responses(body)
    for name in ("previous_response_id", "conversation"):
        if body.get(name) is not None:
            _reject(f"The demo model stores nothing, so '{name}' refers to nothing.", name, f"{name}_not_found")
    if _flag(body, "background"):
        _reject("The demo model does not run in the background.", "background", "unsupported_value")
    _refuse_json_output(_mapping(_mapping(body, "text"), "format", "text.format"), "text.format.type")
    options = _mapping(body, "stream_options")
    return Ask(
        api=Api.RESPONSES,
        prompt=prompt,
        input_tokens=input_tokens,
        stream=_flag(body, "stream"),
        max_tokens=_count(body, "max_output_tokens"),
        include_usage=True,
        obfuscate=_flag(options, "include_obfuscation", default=True),
        body=body,
    )


def ask_chat(raw: bytes) -> Ask:
    """Read the body of `POST /v1/chat/completions`, or raise `Rejection`."""
    body = _parse(raw)
    _text(body, "model")
    messages = _items(body, "messages")
    if not messages:
        _reject("Invalid 'messages': empty array. Expected an array with minimum length 1.", "messages", "empty_array")
    for at, message in enumerate(messages):
        if not isinstance(message.get("role"), str):
            _missing(f"messages[{at}].role")
    if (_count(body, "n") or 1) > 1:
        _reject("The demo model gives one choice.", "n", "unsupported_value")
    _refuse_json_output(_mapping(body, "response_format"), "response_format.type")
    options = _mapping(body, "stream_options")
    return Ask(
        api=Api.CHAT,
        prompt=_newest_prompt(messages),
        input_tokens=_input_tokens(messages),
        stream=_flag(body, "stream"),
        max_tokens=_count(body, "max_completion_tokens") or _count(body, "max_tokens"),
        include_usage=_flag(options, "include_usage"),
        obfuscate=_flag(options, "include_obfuscation", default=True),
        body=body,
    )


def count_input(raw: bytes) -> int:
    """Read the body of `POST /v1/responses/input_tokens`; return its size in tokens."""
    return _read_responses(_parse(raw))[1]


# --- what is said -----------------------------------------------------------------------------------------------------


def _read_responses(body: Mapping[str, object]) -> tuple[str, int]:
    """Return the prompt and the size of the input."""
    given = body.get("input")
    if given is None:
        _missing("input")
    items: list[dict[str, object]]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else _items(body, "input")
    instructions = body.get("instructions")
    system: list[dict[str, object]] = [] if instructions is None else [{"content": instructions}]
    return _newest_prompt(items), _input_tokens(system + items)


def _newest_prompt(messages: list[dict[str, object]]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            return "\n".join(_texts(message.get("content")))
    return ""


def _input_tokens(messages: list[dict[str, object]]) -> int:
    """Estimate the input. Only text counts: the demo model sees neither pictures nor files."""
    texts = [
        text for message in messages for key in ("content", "output", "arguments") for text in _texts(message.get(key))
    ]
    return _TOKENS_PER_MESSAGE * len(messages) + sum(estimate(text) for text in texts)


def _texts(content: object) -> Iterator[str]:
    """Yield the texts of a message: a string, or parts of which some have text."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in cast("list[object]", content):
            if isinstance(part, dict) and isinstance(text := cast("dict[str, object]", part).get("text"), str):
                yield text


# --- reading JSON as OpenAI does --------------------------------------------------------------------------------------


def _parse(raw: bytes) -> dict[str, object]:
    try:
        value: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Rejection("We could not parse the JSON body of your request. The API expects a JSON object.")
    return cast("dict[str, object]", value)


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        _missing(name)
    if not isinstance(value, str):
        _wrong_type(name, "a string", value)
    return value


def _flag(body: Mapping[str, object], name: str, *, default: bool = False) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        _wrong_type(name, "a boolean", value)
    return value


def _count(body: Mapping[str, object], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        _wrong_type(name, "an integer", value)
    if value < 1:
        _reject(
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead.",
            name,
            "integer_below_min_value",
        )
    return value


def _mapping(body: Mapping[str, object], name: str, path: str | None = None) -> dict[str, object]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        _wrong_type(path or name, "an object", value)
    return cast("dict[str, object]", value)


def _items(body: Mapping[str, object], name: str) -> list[dict[str, object]]:
    value = body.get(name)
    if value is None:
        _missing(name)
    if not isinstance(value, list):
        _wrong_type(name, "an array of objects", value)
    items: list[dict[str, object]] = []
    for at, item in enumerate(cast("list[object]", value)):
        if not isinstance(item, dict):
            _wrong_type(f"{name}[{at}]", "an object", item)
        items.append(cast("dict[str, object]", item))
    return items


def _refuse_json_output(form: Mapping[str, object], param: str) -> None:
    if form.get("type", "text") != "text":
        _reject("The demo model writes plain text only.", param, "unsupported_value")


_JSON_NAMES: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
}


def _wrong_type(param: str, expected: str, value: object) -> NoReturn:
    got = _JSON_NAMES.get(type(value), "an object")
    _reject(f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param, "invalid_type")


def _missing(param: str) -> NoReturn:
    _reject(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def _reject(message: str, param: str, code: str) -> NoReturn:
    raise Rejection(message, param=param, code=code)
