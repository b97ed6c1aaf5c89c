"""A whole response as the events that would have streamed it. No I/O.

For servers that answer with JSON where a stream was asked for, and for those that stream only
the last event. The ids in the events are those of the items.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roomcast.core.events import JsonObject
from roomcast.upstream.item_writer import empty_part
from roomcast.upstream.payload import as_list, as_object

__all__ = ["replay"]


def replay(output: Any) -> Iterator[JsonObject]:
    """The events for a response's `output`."""
    for index, it in enumerate(as_list(output)):
        item = as_object(it)
        begun = {name: value for name, value in item.items() if name not in ("content", "summary", "arguments")}
        match item.get("type"):
            case "message":
                begun |= {"status": "in_progress", "content": []}
            case "reasoning":
                begun |= {"summary": []}
            case "function_call":
                begun |= {"status": "in_progress", "arguments": ""}
            case _:
                begun = item
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        if begun is not item:
            place: JsonObject = {"item_id": item.get("id"), "output_index": index}
            yield from _summary(item, place)
            yield from _content(item, place)
            yield from _arguments(item, place)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _content(item: JsonObject, place: JsonObject) -> Iterator[JsonObject]:
    for index, it in enumerate(as_list(item.get("content"))):
        part, here = as_object(it), {**place, "content_index": index}
        kind = part.get("type")
        if kind not in ("output_text", "refusal", "reasoning_text"):
            yield {"type": "response.content_part.added", **here, "part": part}
        else:
            name = "refusal" if kind == "refusal" else "text"
            yield {"type": "response.content_part.added", **here, "part": empty_part(kind)}
            yield {"type": f"response.{kind}.delta", **here, "delta": part.get(name)}
            yield {"type": f"response.{kind}.done", **here, name: part.get(name)}
        yield {"type": "response.content_part.done", **here, "part": part}


def _summary(item: JsonObject, place: JsonObject) -> Iterator[JsonObject]:
    for index, it in enumerate(as_list(item.get("summary"))):
        part, here = as_object(it), {**place, "summary_index": index}
        begun = {"type": "summary_text", "text": ""}
        yield {"type": "response.reasoning_summary_part.added", **here, "part": begun}
        yield {"type": "response.reasoning_summary_text.delta", **here, "delta": part.get("text")}
        yield {"type": "response.reasoning_summary_text.done", **here, "text": part.get("text")}
        yield {"type": "response.reasoning_summary_part.done", **here, "part": part}


def _arguments(item: JsonObject, place: JsonObject) -> Iterator[JsonObject]:
    if item.get("type") == "function_call":
        arguments = item.get("arguments")
        yield {"type": "response.function_call_arguments.delta", **place, "delta": arguments}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": arguments}
