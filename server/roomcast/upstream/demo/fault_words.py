"""Faults that speak: events that the script never needs, in the words of either API.

Refusals, reasoning, calls of tools, errors in mid-stream, and what only one of the APIs can get wrong.

Not here: faults of the connection and of the bytes (fault_streams.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from roomcast.upstream.demo.chat_wire import ChatAnswer, choice
from roomcast.upstream.demo.faults import Fault, FaultKind
from roomcast.upstream.demo.responses_wire import ResponsesAnswer
from roomcast.upstream.demo.scene import Scene, sends
from roomcast.upstream.demo.steps import Send, Step
from roomcast.upstream.demo.wire import DONE, Finish, sse

__all__ = ["WORDS", "after", "before"]

_APOLOGY = "The server had an error while processing your request. Sorry about that!"
_REFUSAL = ("I am", " sorry", ", but", " I cannot", " help", " with", " that", ".")
_THOUGHTS = ("**Reading", " the script**", "\n\n", "The prompt", " calls for", " one of its", " answers.")
_CALL_NAME = "get_weather"
_CALL_ARGUMENTS = ('{"city"', ': "Par', 'is", "unit"', ': "celsius"', "}")


def before(fault: Fault, scene: Scene) -> Iterator[Step]:
    """Play what comes before the fault."""
    yield from scene.opening()
    yield from scene.tokens(0, fault.after_tokens)


def after(fault: Fault, scene: Scene) -> Iterator[Step]:
    """Play what comes after the fault."""
    yield from scene.tokens(fault.after_tokens)
    yield from scene.closing()


def _unknown_event(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    match scene.answer:
        case ResponsesAnswer() as answer:
            yield Send(answer.event("response.demo_mood.updated", mood={"name": "curious", "since": [1, 2.5, None]}))
        case ChatAnswer() as answer:
            yield Send(sse({"object": "chat.completion.mood", "mood": {"name": "curious"}}))
            yield Send(answer.delta({"mood": "curious"}))
    yield from after(fault, scene)


def _after_finish(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    match scene.answer:
        case ResponsesAnswer() as answer:
            late: dict[str, object] = {"item_id": answer.item_id("msg"), "output_index": 0, "content_index": 0}
            yield from sends(answer.closing(Finish.STOP))
            yield Send(answer.event("response.output_text.delta", **late, delta=" too late", logprobs=[]))
        case ChatAnswer() as answer:
            yield Send(answer.finishing(Finish.STOP))
            yield Send(answer.delta({"content": " too late"}))
            yield Send(DONE)


def _no_done(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Send(_chat(scene).finishing(Finish.STOP))


def _usage_only(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Send(_chat(scene).chunk([], usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}))
    yield from after(fault, scene)


def _null_delta(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Send(_chat(scene).delta(None))
    yield Send(_chat(scene).delta({"content": None}))
    yield from after(fault, scene)


def _two_choices(fault: Fault, scene: Scene) -> Iterator[Step]:
    answer = _chat(scene)
    yield from scene.opening()
    for piece in scene.pieces:
        answer.remember(piece)
        yield Send(answer.chunk([choice({"content": piece}), choice({"content": piece.upper()}, index=1)]))
        yield scene.pace.after_piece()
    yield from scene.closing()


def _chat(scene: Scene) -> ChatAnswer:
    assert isinstance(scene.answer, ChatAnswer), "faults.check lets no other request come here"
    return scene.answer


def _error(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    match scene.answer:
        case ResponsesAnswer() as answer:
            yield Send(answer.event("error", code=fault.code, message=_APOLOGY, param=None))
        case ChatAnswer():
            error = {"message": _APOLOGY, "type": "server_error", "param": None, "code": fault.code}
            yield Send(sse({"error": error}))


def _failed(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    assert isinstance(scene.answer, ResponsesAnswer), "faults.check lets no other request come here"
    yield from sends(scene.answer.failing(fault.code, _APOLOGY))


def _refusal(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from scene.opening()
    scene.answer.extra_tokens += len(_REFUSAL)
    match scene.answer:
        case ResponsesAnswer() as answer:
            yield from _paced(scene, _responses_refusal(answer))
        case ChatAnswer() as answer:
            yield from _paced(scene, (answer.delta({"refusal": piece}) for piece in _REFUSAL))
            answer.extra["refusal"] = "".join(_REFUSAL)
    yield from scene.closing(Finish.STOP)


def _responses_refusal(answer: ResponsesAnswer) -> Iterator[bytes]:
    message: dict[str, object] = {
        "id": answer.item_id("msg"),
        "type": "message",
        "status": "in_progress",
        "content": [],
        "role": "assistant",
    }
    part: dict[str, object] = {"type": "refusal", "refusal": ""}
    yield answer.item_added(message)
    yield answer.part_event("response.content_part.added", content_index=0, part=part)
    for piece in _REFUSAL:
        yield answer.part_event("response.refusal.delta", content_index=0, delta=piece)
    part = part | {"refusal": "".join(_REFUSAL)}
    yield answer.part_event("response.refusal.done", content_index=0, refusal=part["refusal"])
    yield answer.part_event("response.content_part.done", content_index=0, part=part)
    yield answer.item_done(message | {"status": "completed", "content": [part]})


def _reasoning(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from scene.opening()
    scene.answer.extra_tokens += len(_THOUGHTS)
    scene.answer.reasoning_tokens = len(_THOUGHTS)
    match scene.answer:
        case ResponsesAnswer() as answer:
            yield from _paced(scene, _responses_reasoning(answer))
        case ChatAnswer() as answer:
            # OpenAI's Chat Completions shows no reasoning; this is what other servers made of it.
            yield from _paced(scene, (answer.delta({"reasoning_content": piece}) for piece in _THOUGHTS))
    yield from scene.tokens()
    yield from scene.closing()


def _responses_reasoning(answer: ResponsesAnswer) -> Iterator[bytes]:
    item: dict[str, object] = {"id": answer.item_id("rs"), "type": "reasoning", "summary": []}
    part: dict[str, object] = {"type": "summary_text", "text": ""}
    yield answer.item_added(item)
    yield answer.part_event("response.reasoning_summary_part.added", summary_index=0, part=part)
    for piece in _THOUGHTS:
        padded = answer.padded(piece)
        yield answer.part_event("response.reasoning_summary_text.delta", summary_index=0, delta=piece, **padded)
    part = part | {"text": "".join(_THOUGHTS)}
    yield answer.part_event("response.reasoning_summary_text.done", summary_index=0, text=part["text"])
    yield answer.part_event("response.reasoning_summary_part.done", summary_index=0, part=part)
    yield answer.item_done(item | {"summary": [part]})


def _tool_call(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from scene.opening()
    scene.answer.extra_tokens += len(_CALL_ARGUMENTS)
    match scene.answer:
        case ResponsesAnswer() as answer:
            yield from _paced(scene, _responses_call(answer))
        case ChatAnswer() as answer:
            yield from _paced(scene, _chat_call(answer))
    yield from scene.closing(Finish.TOOL_CALLS)


def _responses_call(answer: ResponsesAnswer) -> Iterator[bytes]:
    item: dict[str, object] = {
        "id": answer.item_id("fc"),
        "type": "function_call",
        "status": "in_progress",
        "arguments": "",
        "call_id": answer.item_id("call"),
        "name": _CALL_NAME,
    }
    yield answer.item_added(item)
    for piece in _CALL_ARGUMENTS:
        yield answer.part_event("response.function_call_arguments.delta", delta=piece, **answer.padded(piece))
    arguments = "".join(_CALL_ARGUMENTS)
    yield answer.part_event("response.function_call_arguments.done", arguments=arguments)
    yield answer.item_done(item | {"status": "completed", "arguments": arguments})


def _chat_call(answer: ChatAnswer) -> Iterator[bytes]:
    call: dict[str, object] = {"id": "call_simulated", "type": "function"}
    named = {"index": 0, **call, "function": {"name": _CALL_NAME, "arguments": ""}}
    yield answer.delta({"tool_calls": [named]})
    for piece in _CALL_ARGUMENTS:
        yield answer.delta({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    answer.extra["tool_calls"] = [call | {"function": {"name": _CALL_NAME, "arguments": "".join(_CALL_ARGUMENTS)}}]


def _paced(scene: Scene, payloads: Iterator[bytes]) -> Iterator[Step]:
    for payload in payloads:
        yield Send(payload)
        yield scene.pace.after_piece()


WORDS: Final[Mapping[FaultKind, Callable[[Fault, Scene], Iterator[Step]]]] = {
    FaultKind.UNKNOWN_EVENT: _unknown_event,
    FaultKind.AFTER_FINISH: _after_finish,
    FaultKind.NO_DONE: _no_done,
    FaultKind.USAGE_ONLY: _usage_only,
    FaultKind.NULL_DELTA: _null_delta,
    FaultKind.TWO_CHOICES: _two_choices,
    FaultKind.ERROR: _error,
    FaultKind.FAILED: _failed,
    FaultKind.REFUSAL: _refusal,
    FaultKind.REASONING: _reasoning,
    FaultKind.TOOL_CALL: _tool_call,
}
