"""An answer in the words of the Responses API: events with names and dense sequence numbers.

    created, in_progress, then for each output item its events, then completed | incomplete

Not here: what is said (script.py), and when (scene.py).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

from roomcast.upstream.demo.asking import Ask
from roomcast.upstream.demo.wire import Finish, padding, sse

__all__ = ["ResponsesAnswer"]

_INCOMPLETE_REASONS = {Finish.LENGTH: "max_output_tokens", Finish.CONTENT_FILTER: "content_filter"}


class ResponsesAnswer:
    """A response that is being written. One message holds all its text.

    Args:
        ask: The request.
        model: Name to answer under.
    """

    def __init__(self, ask: Ask, *, model: str) -> None:
        self._ask = ask
        self._model = model
        self._suffix = secrets.token_hex(24)
        self._created_at = int(time.time())
        self._sequence = 0
        self._output: list[dict[str, object]] = []
        self._pieces: list[str] = []
        self._message_open = False
        self._open_id: object = None
        self._result: dict[str, object] = {}
        self.extra_tokens = 0
        """Tokens of output that is not text of the message: reasoning, refusals, calls."""
        self.reasoning_tokens = 0

    # --- the parts of every answer

    def opening(self) -> Iterator[bytes]:
        """Yield `response.created` and `response.in_progress`."""
        yield self.event("response.created", response=self.response("in_progress"))
        yield self.event("response.in_progress", response=self.response("in_progress"))

    def text(self, piece: str) -> Iterator[bytes]:
        """Yield one delta; before the first one the message and its part are opened."""
        if not self._message_open:
            self._message_open = True
            yield self.item_added(self._message("in_progress", []))
            part: dict[str, object] = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
            yield self.part_event("response.content_part.added", content_index=0, part=part)
        self._pieces.append(piece)
        padded = self.padded(piece)
        yield self.part_event("response.output_text.delta", content_index=0, delta=piece, logprobs=[], **padded)

    def closing(self, finish: Finish) -> Iterator[bytes]:
        """Yield the end of the message, if there is one, and the terminal event with the usage."""
        complete = finish not in _INCOMPLETE_REASONS
        if self._message_open:
            yield from self._close_message("completed" if complete else "incomplete")
        if complete:
            self._result = self.response("completed", usage=self._usage(), completed_at=int(time.time()))
            yield self.event("response.completed", response=self._result)
        else:
            details = {"reason": _INCOMPLETE_REASONS[finish]}
            self._result = self.response("incomplete", usage=self._usage(), incomplete_details=details)
            yield self.event("response.incomplete", response=self._result)

    def failing(self, code: str, message: str) -> Iterator[bytes]:
        """Yield `response.failed`, which ends the answer as `closing` does."""
        self._result = self.response("failed", error={"code": code, "message": message})
        yield self.event("response.failed", response=self._result)

    def result(self) -> dict[str, object]:
        """Return the response as its terminal event has it."""
        return self._result

    # --- what they are made of; faults use these for output that the script never has

    def event(self, type: str, /, **fields: object) -> bytes:
        """Encode the next event."""
        number = self._sequence
        self._sequence += 1
        return sse({"type": type, "sequence_number": number, **fields}, event=type)

    def padded(self, delta: str) -> dict[str, object]:
        """Return the padding that goes with a delta, if padding is wanted."""
        return {"obfuscation": padding(delta)} if self._ask.obfuscate else {}

    def item_id(self, prefix: str) -> str:
        """Return an id for the item that is open."""
        return f"{prefix}_{self._suffix}{len(self._output):02x}"

    def item_added(self, item: dict[str, object]) -> bytes:
        """Open an output item. Until `item_done`, deltas belong to it."""
        self._open_id = item["id"]
        return self.event("response.output_item.added", output_index=len(self._output), item=item)

    def item_done(self, item: dict[str, object]) -> bytes:
        """Close the output item that is open."""
        index = len(self._output)
        self._output.append(item)
        return self.event("response.output_item.done", output_index=index, item=item)

    def part_event(self, type: str, /, **fields: object) -> bytes:
        """Encode an event of the item that is open."""
        return self.event(type, item_id=self._open_id, output_index=len(self._output), **fields)

    def response(self, status: str, **changes: object) -> dict[str, object]:
        """Return the response object as it stands. What the request set is repeated, as OpenAI does."""
        asked = self._ask.body
        return {
            "id": f"resp_{self._suffix}00",
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.get("instructions"),
            "max_output_tokens": self._ask.max_tokens,
            "max_tool_calls": asked.get("max_tool_calls"),
            "model": self._model,
            "output": list(self._output),
            "parallel_tool_calls": asked.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "prompt_cache_key": asked.get("prompt_cache_key"),
            "reasoning": asked.get("reasoning") or {"effort": None, "summary": None},
            "safety_identifier": asked.get("safety_identifier"),
            "service_tier": "default",
            "store": False,
            "temperature": asked.get("temperature", 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": asked.get("tool_choice", "auto"),
            "tools": asked.get("tools") or [],
            "top_logprobs": 0,
            "top_p": asked.get("top_p", 1.0),
            "truncation": asked.get("truncation", "disabled"),
            "usage": None,
            "user": None,
            "metadata": asked.get("metadata") or {},
        } | changes

    # --- inside

    def _close_message(self, status: str) -> Iterator[bytes]:
        text = "".join(self._pieces)
        yield self.part_event("response.output_text.done", content_index=0, text=text, logprobs=[])
        part: dict[str, object] = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
        yield self.part_event("response.content_part.done", content_index=0, part=part)
        yield self.item_done(self._message(status, [part]))

    def _message(self, status: str, content: list[dict[str, object]]) -> dict[str, object]:
        return {
            "id": self.item_id("msg"),
            "type": "message",
            "status": status,
            "content": content,
            "role": "assistant",
        }

    def _usage(self) -> dict[str, object]:
        output = len(self._pieces) + self.extra_tokens
        return {
            "input_tokens": self._ask.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self._ask.input_tokens + output,
        }
