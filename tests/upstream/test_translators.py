"""Random walks over both translators: whatever an upstream sends, the room gets events that it can keep."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from roomcast.core.coalesce import merge_drafts
from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.output import Output
from roomcast.upstream.chat_completions_api import ChatTranslator
from roomcast.upstream.payload import BadPayload, parse_object
from roomcast.upstream.pieces import Translator
from roomcast.upstream.responses_api import ResponsesTranslator
from tests.support.upstream_calls import counted_ids

_FIELDS = re.findall(
    r"\S+",
    """type item item_id id call_id output_index content_index summary_index delta text part response output status
    usage error incomplete_details reason arguments name content summary logprobs sequence_number refusal code message
    choices index finish_reason tool_calls function reasoning reasoning_content role model input_tokens output_tokens
    prompt_tokens completion_tokens room seq at by""",
)
_TYPES = re.findall(
    r"\S+",
    """response.created response.output_item.added response.output_item.done response.content_part.added
    response.content_part.done response.output_text.delta response.output_text.done response.refusal.delta
    response.reasoning_text.delta response.function_call_arguments.delta response.function_call_arguments.done
    response.invented response.invented.delta response.completed response.failed response.incomplete
    response.cancelled room.deleted message function_call reasoning output_text refusal completed failed stop length
    error""",
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.just(1 << 70)
    | st.sampled_from(_TYPES)
    | st.text(st.sampled_from("ab\ud83c\udf89\0"), max_size=3)
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=5)
)
_DELTA_FIELDS = {"delta": _LEAVES, "item_id": _LEAVES, "output_index": _LEAVES, "item": _VALUES, "logprobs": _VALUES}
_DELTAS = st.fixed_dictionaries(
    {"type": st.sampled_from([it for it in _TYPES if it.endswith((".delta", ".added", ".done"))])},
    optional=_DELTA_FIELDS,
)
_CHOICES = st.dictionaries(st.sampled_from(["delta", "finish_reason", "index"]), _VALUES, max_size=3)
_CHUNKS = st.fixed_dictionaries({"choices": st.lists(_CHOICES, max_size=2)})
_EVENTS: st.SearchStrategy[list[Any]] = st.lists(
    _DELTAS | _CHUNKS | st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=6), max_size=8
)
_OURS = {"room", "seq", "seq_from", "at", "by", "response_id", "sequence_number"}


def pieces_of(translator: Translator, events: list[JsonObject]) -> list[JsonObject]:
    """What the translator makes of these events, or of the last one as a whole answer; it may refuse at any point."""
    pieces: list[JsonObject] = []
    with suppress(UpstreamError):
        for number, event in enumerate(events, 1):
            try:
                parsed, ragged = parse_object(json.dumps(event).encode())
            except BadPayload:
                continue
            pieces += translator.feed(parsed, "", ragged=ragged)
            if number == len(events):
                pieces += translator.answer(parsed, ragged=ragged)
    pieces += translator.flush()
    return pieces


def check(translator: Translator, events: list[Any]) -> None:
    output = Output()
    pieces = pieces_of(translator, events)
    for piece in merge_drafts(pieces, limit_bytes=1_000):
        assert isinstance(piece["type"], str)
        assert not _OURS & piece.keys()
        orjson.dumps(piece)
        output.fold(piece)
    orjson.dumps(output.render())
    finish = translator.finish
    if finish is not None:
        assert finish.status in ("completed", "incomplete", "failed")
        orjson.dumps([finish.reason, finish.error_message, finish.usage, finish.response])


@given(_EVENTS)
def test_any_events_of_responses_give_events_that_a_room_can_keep(events: list[Any]) -> None:
    check(ResponsesTranslator(counted_ids()), events)


@given(_EVENTS)
def test_any_chunks_of_chat_completions_give_events_that_a_room_can_keep(events: list[Any]) -> None:
    check(ChatTranslator(counted_ids()), events)
