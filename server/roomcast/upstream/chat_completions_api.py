"""Chat Completions, and every server that speaks it, behind the port `Upstream`.

    chunks  {"choices":[{"delta":{"content":"Hel"}}]} … {"choices":[{"finish_reason":"stop"}]} {"usage":…} [DONE]
    pieces  output_item.added, content_part.added, output_text.delta …, the closing events, Finish

Real servers differ from the specification, and from each other; what is taken for what:
    - the first choice counts, others are dropped; without choices only the usage is read
    - `reasoning_content` and `reasoning` are reasoning text
    - a tool call is named by `index` and `id`; a new id under an old index is another call
    - any finish reason completes, but for those that mean "too long", "filtered" or "failed"
    - two equal chunks are text twice: nothing tells a repetition from a model that repeats itself
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from roomcast.core.events import JsonObject
from roomcast.core.ports import Finish, IdSource, UpstreamRequest
from roomcast.upstream.adapter import OpenAIUpstream
from roomcast.upstream.chat_request import chat_body
from roomcast.upstream.errors import from_body, words_of
from roomcast.upstream.item_writer import ItemWriter
from roomcast.upstream.payload import as_list, as_object, mend, mend_text
from roomcast.upstream.usage import chat_usage

__all__ = ["ChatCompletionsUpstream", "ChatTranslator"]

_INCOMPLETE: Final = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
}
_FAILED: Final = frozenset({"error", "abort", "cancelled", "insufficient_system_resource"})


class ChatCompletionsUpstream(OpenAIUpstream):
    """A model service that speaks Chat Completions."""

    path = "chat/completions"
    rehearsal = b'data: {"choices":[{"index":0,"delta":{"content":"."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    def body(self, request: UpstreamRequest) -> JsonObject:
        """The request in the words of Chat Completions."""
        return chat_body(request)

    def translator(self) -> ChatTranslator:
        """A translator for one answer."""
        return ChatTranslator(self.new_id)


class ChatTranslator:
    """Translates one chat completion.

    Args:
        new_id: Source of ids.
    """

    def __init__(self, new_id: IdSource) -> None:
        self._items = ItemWriter(new_id)
        self._calls = _CallKeys()
        self._reason: str | None = None
        self._usage: JsonObject | None = None
        self._about: JsonObject = {}

    @property
    def finish(self) -> Finish | None:
        """How it ended, as the first finish reason said."""
        if self._reason is None:
            return None
        usage, about = self._usage, self._about
        if self._reason in _FAILED:
            code = "upstream_unavailable"
            return Finish("failed", error_code=code, error_message=words_of(code), usage=usage, response=about)
        incomplete = _INCOMPLETE.get(self._reason)
        return Finish("incomplete" if incomplete else "completed", incomplete, usage=usage, response=about)

    @property
    def complete(self) -> bool:
        """After the finish reason only the usage is of interest."""
        return self._reason is not None and self._usage is not None

    def feed(self, event: JsonObject, name: str, *, ragged: bool) -> Iterator[JsonObject]:
        """Translate one chunk. Whatever string is kept is mended here, so a ragged chunk needs nothing more."""
        error = event.get("error")
        if error or name == "error":
            raise from_body(error or event)
        self._usage = chat_usage(event.get("usage")) or self._usage
        for choice in as_list(event.get("choices")):
            choice = as_object(choice)
            if self._reason is None and choice.get("index") in (0, None):
                yield from self._take(as_object(choice.get("delta")))
                reason = choice.get("finish_reason")
                if isinstance(reason, str) and reason:
                    yield from self._end(event, reason.lower())

    def answer(self, answer: JsonObject, *, ragged: bool) -> Iterator[JsonObject]:
        """Translate a whole chat completion: its message is one delta."""
        choices = [as_object(choice) for choice in as_list(answer.get("choices"))]
        chunk = {**answer, "choices": [{**choice, "delta": choice.get("message")} for choice in choices]}
        return self.feed(chunk, "", ragged=ragged)

    def flush(self) -> Iterable[JsonObject]:
        """Give what was held back."""
        return self._items.flush()

    def _take(self, delta: JsonObject) -> Iterator[JsonObject]:
        reasoning = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        if reasoning:
            yield from self._items.text("reasoning_text", reasoning)
        if content := _text(delta.get("content")):
            yield from self._items.text("output_text", content)
        if refusal := _text(delta.get("refusal")):
            yield from self._items.text("refusal", refusal)
        for call in as_list(delta.get("tool_calls")):
            yield from self._call(as_object(call))
        if delta.get("function_call"):  # the name of it before there could be several
            yield from self._call({"index": 0, "function": delta["function_call"]})

    def _call(self, call: JsonObject) -> Iterator[JsonObject]:
        function = as_object(call.get("function"))
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            arguments = orjson.dumps(mend(arguments)).decode()
        name = mend_text(_text(function.get("name")))
        yield from self._items.call(self._calls.key(call, named=bool(name)), name, arguments)

    def _end(self, event: JsonObject, reason: str) -> Iterator[JsonObject]:
        self._reason = reason
        about = {name: event.get(name) for name in ("model", "service_tier")}
        self._about = {name: mend_text(value) for name, value in about.items() if isinstance(value, str)}
        return self._items.close("incomplete" if reason in _INCOMPLETE else "completed")


class _CallKeys:
    """Tells which function call a chunk goes on with.

    Some servers send each call whole, all under index 0 with ids of their own, or with neither.
    """

    def __init__(self) -> None:
        self._count = 0
        self._begun: dict[Any, tuple[Any, str]] = {}
        self._last: Any = None

    def key(self, call: JsonObject, *, named: bool) -> str:
        """What names the call: its index, else its id, else it is the call before unless it has a name.

        Args:
            call: The chunk's part of the call.
            named: Whether it brings the function's name.
        """
        index, its_id = call.get("index"), call.get("id")
        place = index if isinstance(index, int) else its_id if isinstance(its_id, str) else self._last
        known_id, key = self._begun.get(place, (None, ""))
        anonymous = not isinstance(index, int) and not its_id
        if not key or (its_id and known_id and its_id != known_id) or (anonymous and named):
            self._count += 1
            key = str(self._count)
        self._begun[place] = (its_id or known_id, key)
        self._last = place
        return key


def _text(value: Any) -> str:
    """The text of a field that should be a string; a list of parts, as some servers send it, is joined."""
    if isinstance(value, str):
        return value
    texts = (as_object(part).get("text") for part in as_list(value))
    return "".join(text for text in texts if isinstance(text, str))
