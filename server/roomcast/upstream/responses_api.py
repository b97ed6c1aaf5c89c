"""The Responses API, and every server that speaks it, behind the port `Upstream`.

Rooms speak this API's vocabulary, so most events pass as they are. What is done to them:
    - `response.created|queued|in_progress` are dropped and the terminals become the `Finish`:
      the room has its own
    - ids of items and calls become ours; `response_id`, `sequence_number`, `obfuscation` go
    - types and fields that are the room's own are not the upstream's to use: an event with
      such a type is dropped, such a field removed
    - text for an item that was never announced announces it

Event types that nobody here knows are passed on whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from roomcast.core.events import JsonObject
from roomcast.core.ports import Finish, IdSource, UpstreamRequest
from roomcast.upstream.adapter import OpenAIUpstream
from roomcast.upstream.errors import bad_response, code_of, from_body, words_of
from roomcast.upstream.item_ids import ItemIds
from roomcast.upstream.payload import Halves, as_list, as_object, mend, mend_text
from roomcast.upstream.replay import replay
from roomcast.upstream.usage import responses_usage

__all__ = ["ResponsesTranslator", "ResponsesUpstream", "responses_body"]

_DROPPED: Final = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "keepalive",
        "ping",
        # ours, see docs/protocol.md
        "response.attempt_superseded",
        "response.cancelled",
        "response.cancelling",
        "response.interrupted",
        "response.output_json.done",
        "response.output_json.patch",
        "reply",
    }
)
_OUR_FAMILIES: Final = (
    "branch.",
    "item.",
    "presence.",
    "queue.",
    "room.",
    "server.",
    "session.",
    "subscriber.",
    "tool.",
    "usage.",
)
_OUR_FIELDS: Final = ("room", "seq", "seq_from", "at", "by", "response_id", "sequence_number", "obfuscation")
_STATUSES: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
_REASONS: Final = frozenset({"max_output_tokens", "content_filter", "steered"})
_NOT_FOR_THE_ROOM: Final = frozenset(
    {
        "conversation",
        "error",
        "id",
        "incomplete_details",
        "instructions",
        "output",
        "output_text",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "safety_identifier",
        "status",
        "usage",
        "user",
    }
)
"""Of the upstream's response object: what the room has its own of, and what is between us and the upstream."""

_TEXT_ITEMS: Final = {
    "response.output_text.delta": "message",
    "response.refusal.delta": "message",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
}
_BEFORE_TEXT: Final[Mapping[str, JsonObject]] = {"message": {"role": "assistant"}, "reasoning": {"summary": []}}
_PLACE: Final = ("item_id", "output_index", "content_index", "summary_index")


class ResponsesUpstream(OpenAIUpstream):
    """A model service that speaks the Responses API."""

    path = "responses"
    rehearsal = b'data: {"type":"response.completed","response":{"status":"completed","output":[]}}\n\n'

    def body(self, request: UpstreamRequest) -> JsonObject:
        """The request as it is, to be streamed and not stored."""
        return responses_body(request)

    def translator(self) -> ResponsesTranslator:
        """A translator for one answer."""
        return ResponsesTranslator(self.new_id)


def responses_body(request: UpstreamRequest) -> JsonObject:
    """The body of `POST /responses`."""
    body: JsonObject = {
        **request.parameters,
        "model": request.model,
        # Our ids mean nothing to the upstream, which would look for them.
        "input": [{name: value for name, value in item.items() if name != "id"} for item in request.input],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "store": False,
    }
    if request.instructions:
        body["instructions"] = request.instructions
    return body


class ResponsesTranslator:
    """Translates one streamed response.

    Args:
        new_id: Source of ids.
    """

    def __init__(self, new_id: IdSource) -> None:
        self._ids = ItemIds(new_id)
        self._halves = Halves()
        self._finish: Finish | None = None
        self._last: tuple[Any, ...] = ()
        self._any_output = False

    @property
    def finish(self) -> Finish | None:
        """How it ended, as its terminal event said."""
        return self._finish

    @property
    def complete(self) -> bool:
        """Nothing follows a terminal event."""
        return self._finish is not None

    def feed(self, event: JsonObject, name: str, *, ragged: bool) -> Iterator[JsonObject]:
        """Translate one event."""
        if name == "error" or event.get("type") == "error":
            raise from_body(event.get("error") or event)
        kind = event.get("type") or name
        if not isinstance(kind, str) or not kind:
            raise from_body(event["error"]) if event.get("error") else bad_response("an event without a type")
        kind = mend_text(kind)
        if kind.endswith(".delta"):
            yield from self._delta(kind, event, ragged)
        elif kind in _STATUSES:
            response = as_object(mend(event.get("response")) if ragged else event.get("response"))
            if not self._any_output:
                yield from self._replayed(response, ragged)
            self._finish = _finish(_STATUSES[kind], response)
        elif kind not in _DROPPED and not kind.startswith(_OUR_FAMILIES) and not self._repeats(kind, event):
            yield from self._pass(kind, mend(event) if ragged else event)

    def answer(self, answer: JsonObject, *, ragged: bool) -> Iterator[JsonObject]:
        """Translate a whole response object."""
        status = answer.get("status")
        if answer.get("error") and not status:
            raise from_body(answer["error"])
        if f"response.{status}" in _STATUSES:
            return self.feed({"type": f"response.{status}", "response": answer}, "", ragged=ragged)
        if not as_list(answer.get("output")):
            raise bad_response("an answer that is no response")
        return self._replayed(answer, ragged)  # without a finish: it did not say how it ended

    def flush(self) -> Iterator[JsonObject]:
        """Give what was held back."""
        for key, rest in self._halves.flush_all():
            yield _delta_at(cast("tuple[Any, ...]", key), rest)

    def _delta(self, kind: str, event: JsonObject, ragged: bool) -> Iterator[JsonObject]:
        delta = event.get("delta")
        if not isinstance(delta, str):
            if delta is not None and kind not in _TEXT_ITEMS:
                yield from self._pass(kind, mend(event) if ragged else event)
            return
        if not delta or self._repeats(kind, event):
            return
        if ragged:
            event = {**mend(event), "delta": delta}
        theirs, index = event.get("item_id"), event.get("output_index")
        ours = self._ids.find(theirs, index)
        if ours is None and (item_type := _TEXT_ITEMS.get(kind)):
            ours = self._ids.open(theirs, index, item_type)
            item: JsonObject = {"id": ours, "type": item_type, "status": "in_progress", "content": []}
            item |= _BEFORE_TEXT[item_type]
            yield {"type": "response.output_item.added", "output_index": index, "item": item}
        elif ours is None and "item_id" in event:
            ours = self._ids.open(theirs, index, None)
        if not as_list(event.get("logprobs")):
            event.pop("logprobs", None)  # usually an empty list, on every delta; merging joins what is not
        event = self._clean(kind, self._renamed(event), ours)
        if not delta.isascii() or not self._halves.idle:
            event["delta"] = delta = self._halves.join(_place(kind, event), delta)
        if delta:
            yield event

    def _pass(self, kind: str, event: JsonObject) -> Iterator[JsonObject]:
        """Pass an event as it is, but for ids and fields that are the room's."""
        index = event.get("output_index")
        ours: str | None = None
        if isinstance(event.get("item"), dict):
            item = as_object(event["item"])
            theirs = item.get("id")
            known = None if kind == "response.output_item.added" else self._ids.find(theirs, index)
            event["item"] = self._renamed({**item, "id": known or self._ids.open(theirs, index, item.get("type"))})
        elif "item_id" in event:
            ours = self._ids.find(event["item_id"], index) or self._ids.open(event["item_id"], index, None)
        event = self._clean(kind, self._renamed(event), ours)
        if kind.endswith(".done") and not self._halves.idle:
            key = _place(f"{kind.removesuffix('.done')}.delta", event)
            if rest := self._halves.flush(key):
                yield _delta_at(key, rest)
        yield event

    def _replayed(self, response: JsonObject, ragged: bool) -> Iterator[JsonObject]:
        for event in replay(response.get("output")):
            yield from self.feed(event, "", ragged=ragged)

    def _clean(self, kind: str, event: JsonObject, item_id: str | None) -> JsonObject:
        self._any_output = True
        for name in _OUR_FIELDS:
            event.pop(name, None)
        event["type"] = kind
        if item_id is not None:
            event["item_id"] = item_id
        return event

    def _renamed(self, named: JsonObject) -> JsonObject:
        """Put our ids in place of other items' and calls'."""
        if isinstance(named.get("call_id"), str):
            named["call_id"] = self._ids.call(named["call_id"])
        if "approval_request_id" in named:
            named["approval_request_id"] = self._ids.find(named["approval_request_id"], None)
        return named

    def _repeats(self, kind: str, event: JsonObject) -> bool:
        """Whether this is the event before once more, as gateways that retry send it.

        Only a counting number can tell: without one, equal deltas are text twice.
        """
        number = event.get("sequence_number")
        mark = (number, kind, event.get("delta"), event.get("output_index"), event.get("content_index"))
        repeated = bool(number) and mark == self._last
        self._last = mark
        return repeated


def _finish(status: str, response: JsonObject) -> Finish:
    usage = responses_usage(response.get("usage"))
    about = {name: value for name, value in response.items() if name not in _NOT_FOR_THE_ROOM}
    if status == "failed":
        code = code_of(response["error"]) if response.get("error") else "upstream_unavailable"
        return Finish(status, error_code=code, error_message=words_of(code), usage=usage, response=about)
    if status == "incomplete":
        reason = as_object(response.get("incomplete_details")).get("reason")
        known = isinstance(reason, str) and reason in _REASONS
        # The protocol's reasons are a closed list; whatever else stops a model early is some limit on its output.
        return Finish(status, reason if known else "output_limit", usage=usage, response=about)
    return Finish(status, usage=usage, response=about)


def _place(kind: str, event: JsonObject) -> tuple[Any, ...]:
    """What names the text that a delta goes on with."""
    values = (event.get(name) for name in _PLACE)
    return (kind, *(value if isinstance(value, (str, int)) else None for value in values))


def _delta_at(place: tuple[Any, ...], text: str) -> JsonObject:
    kind, *values = place
    named = {name: value for name, value in zip(_PLACE, values, strict=True) if value is not None}
    return {"type": kind, **named, "delta": text}
