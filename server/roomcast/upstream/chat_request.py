"""A request in the words of the Responses API, put into those of Chat Completions. No I/O.

What has a counterpart is translated, what only Responses can do is refused in plain words, and
what neither API knows is passed on: compatible servers have parameters of their own (`top_k`, …).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from roomcast.core.events import JsonObject
from roomcast.core.ports import UpstreamRequest
from roomcast.upstream.errors import rejected
from roomcast.upstream.payload import as_list, as_object

__all__ = ["chat_body", "chat_messages"]

_OURS: Final = frozenset({"stream", "stream_options", "model", "input", "messages", "instructions", "store"})
"""Decided here, whatever the parameters say."""

_WITHOUT_EFFECT: Final = frozenset({"metadata", "truncation"})
"""Change nothing that the model does. `metadata` is kept with stored completions, and we store none."""

_RESPONSES_ONLY: Final = frozenset(
    {"background", "context_management", "conversation", "include", "max_tool_calls", "previous_response_id", "prompt"}
)

_ROLES: Final = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""`developer` is newer than many compatible servers; `system` means the same to all of them."""


def chat_body(request: UpstreamRequest) -> JsonObject:
    """The body of `POST /chat/completions`.

    Raises:
        UpstreamError: `upstream_rejected`, for what Chat Completions cannot be asked.
    """
    body: JsonObject = {
        "model": request.model,
        "messages": chat_messages(request.instructions, request.input),
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
    }
    for name, value in request.parameters.items():
        if name in _OURS or name in _WITHOUT_EFFECT or value is None:
            continue
        if name in _RESPONSES_ONLY:
            raise rejected(f"{name} cannot be used with upstream.api = chat_completions")
        translate = _PARAMETERS.get(name)
        body.update(translate(value) if translate else {name: value})
    return body


def chat_messages(instructions: str, items: Iterable[JsonObject]) -> list[JsonObject]:
    """The conversation as chat messages; items without a counterpart (reasoning, hosted tools) are left out."""
    messages: list[JsonObject] = [{"role": "system", "content": instructions}] if instructions else []
    for item in items:
        match item.get("type", "message"):
            case "message":
                role = _ROLES.get(item.get("role", "user"), "user")
                messages.append({"role": role, "content": _content(role, item.get("content"))})
            case "function_call":
                _add_call(messages, item)
            case "function_call_output":
                output = item.get("output")
                text = output if isinstance(output, str) else _joined_text(output)
                messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": text})
            case _:
                pass
    return messages


def _add_call(messages: list[JsonObject], item: JsonObject) -> None:
    """Calls belong to the assistant's message before them; parallel ones share it."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    function = {"name": item.get("name"), "arguments": item.get("arguments", "")}
    call = {"id": item.get("call_id"), "type": "function", "function": function}
    messages[-1].setdefault("tool_calls", []).append(call)


def _content(role: str, content: Any) -> Any:
    if isinstance(content, str):
        return content
    parts = [as_object(part) for part in as_list(content)]
    texts = [part for part in parts if part.get("type") in ("input_text", "output_text", "text", "refusal")]
    # One string where it says the same: many compatible servers take nothing else, least of all for assistants.
    if role != "user" or (len(texts) == len(parts) <= 1):
        return _joined_text(content)
    return [_part(part) for part in parts]


def _part(part: JsonObject) -> JsonObject:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": part.get("text", "")}
        case "input_image" if part.get("image_url"):
            image = {"url": part["image_url"], "detail": part.get("detail") or "auto"}
            return {"type": "image_url", "image_url": image}
        case "input_file" if part.get("file_id") or part.get("file_data"):
            known = ("file_id", "file_data", "filename")
            return {"type": "file", "file": {name: part[name] for name in known if part.get(name)}}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
        case _:
            raise rejected("the message has a part that cannot be sent with upstream.api = chat_completions")


def _joined_text(content: Any) -> str:
    """The text of content parts; what is neither a string nor parts, as JSON."""
    parts = [as_object(part) for part in as_list(content)]
    if content and not parts:
        return orjson.dumps(content).decode()
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts)


def _text(value: Any) -> JsonObject:
    """`text` is `{format, verbosity}` in Responses, and two parameters here."""
    text = as_object(value)
    translated: JsonObject = {"verbosity": text["verbosity"]} if text.get("verbosity") else {}
    format_ = as_object(text.get("format"))
    match format_.get("type"):
        case None | "text":
            return translated
        case "json_schema":
            schema = {name: inner for name, inner in format_.items() if name != "type"}
            return {**translated, "response_format": {"type": "json_schema", "json_schema": schema}}
        case _:
            return {**translated, "response_format": format_}


def _reasoning(value: Any) -> JsonObject:
    reasoning = {name: inner for name, inner in as_object(value).items() if inner is not None}
    effort = reasoning.pop("effort", None)
    for name in reasoning:
        if name not in ("summary", "generate_summary"):  # which only ask for more to be shown
            raise rejected(f"reasoning.{name} cannot be used with upstream.api = chat_completions")
    return {"reasoning_effort": effort} if effort else {}


def _tools(value: Any) -> JsonObject:
    tools = [as_object(tool) for tool in as_list(value)]
    return {"tools": [_function(tool) for tool in tools]} if tools else {}


def _function(tool: JsonObject) -> JsonObject:
    if tool.get("type") != "function":
        raise rejected("only tools of type function can be used with upstream.api = chat_completions")
    return {"type": "function", "function": {name: inner for name, inner in tool.items() if name != "type"}}


def _tool_choice(value: Any) -> JsonObject:
    if isinstance(value, str):
        return {"tool_choice": value}
    choice = as_object(value)
    if choice.get("type") != "function":
        raise rejected("this tool_choice cannot be used with upstream.api = chat_completions")
    return {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}


_PARAMETERS: Final[Mapping[str, Callable[[Any], JsonObject]]] = {
    "max_output_tokens": lambda value: {"max_completion_tokens": value},
    "text": _text,
    "reasoning": _reasoning,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "top_logprobs": lambda value: {"logprobs": True, "top_logprobs": value},
}
