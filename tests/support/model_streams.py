"""What models say, as bytes: well-formed streams of both APIs, for hostile_upstream.py to send or to spoil.

Ids and names in them say `theirs`, so that a test can see whether one gets out.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["chat_chunk", "chat_stream", "responses_stream", "sse", "text_stream"]


def sse(data: dict[str, Any] | str, event: str = "") -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def chat_chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    """One chunk of a chat completion."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    base = {"id": "chatcmpl-theirs", "object": "chat.completion.chunk", "created": 1, "model": "gpt-theirs"}
    return sse({**base, "choices": [choice], **fields})


def chat_stream(
    *texts: str, finish: str | None = "stop", usage: tuple[int, int] | None = (5, 7), done: bool = True
) -> list[bytes]:
    """A chat completion as OpenAI streams it.

    Args:
        texts: The deltas of its content.
        finish: The finish reason, or None to leave it out.
        usage: Prompt and completion tokens, or None to leave the usage out.
        done: Whether `[DONE]` follows.
    """
    chunks = [chat_chunk({"role": "assistant", "content": ""})]
    chunks += [chat_chunk({"content": text}) for text in texts]
    if finish is not None:
        chunks.append(chat_chunk({}, finish))
    if usage is not None:
        prompt, completion = usage
        counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        chunks.append(sse({"id": "chatcmpl-theirs", "model": "gpt-theirs", "choices": [], "usage": counts}))
    if done:
        chunks.append(sse("[DONE]"))
    return chunks


def responses_stream(
    *texts: str, finish: str | None = "completed", usage: tuple[int, int] | None = (5, 7), **response: Any
) -> list[bytes]:
    """A response of one message, as OpenAI streams it.

    Args:
        texts: The deltas of its text.
        finish: Its last event (`completed`, `incomplete`, `failed`), or None to leave out all closing events.
        usage: Input and output tokens, or None to leave the usage out.
        response: Fields of the response object in the last event.
    """
    about: dict[str, Any] = {"id": "resp_theirs", "object": "response", "model": "gpt-theirs", "output": []}
    item: dict[str, Any] = {"id": "msg_theirs", "type": "message", "status": "in_progress", "role": "assistant"}
    part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    place = {"item_id": "msg_theirs", "output_index": 0, "content_index": 0}
    text = "".join(texts)
    closed = {**item, "status": "completed", "content": [{**part, "text": text}]}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**about, "status": "in_progress"}},
        {"type": "response.in_progress", "response": {**about, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": part},
    ]
    events += [{"type": "response.output_text.delta", **place, "delta": it, "logprobs": []} for it in texts]
    if finish is not None:
        counts = usage and {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage)}
        ended = {**about, "status": finish, "output": [closed], "usage": counts, **response}
        events += [
            {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
            {"type": "response.content_part.done", **place, "part": {**part, "text": text}},
            {"type": "response.output_item.done", "output_index": 0, "item": closed},
            {"type": f"response.{finish}", "response": ended},
        ]
    numbered = ({**event, "sequence_number": number} for number, event in enumerate(events))
    return [sse(event, str(event["type"])) for event in numbered]


def text_stream(api: str, *texts: str, finished: bool = True) -> list[bytes]:
    """A text, streamed by either API; without its end if not `finished`."""
    if api == "responses":
        return responses_stream(*texts, finish="completed" if finished else None)
    return chat_stream(*texts) if finished else chat_stream(*texts, finish=None, usage=None, done=False)
