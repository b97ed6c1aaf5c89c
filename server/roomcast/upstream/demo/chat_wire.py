"""An answer in the words of Chat Completions: chunks without names, then `[DONE]`.

Not here: what is said (script.py), and when (scene.py).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

from roomcast.upstream.demo.asking import Ask
from roomcast.upstream.demo.wire import DONE, Finish, padding, sse

__all__ = ["ChatAnswer"]

_FINGERPRINT = "fp_simulated"


class ChatAnswer:
    """A completion with one choice that is being written.

    Args:
        ask: The request.
        model: Name to answer under.
    """

    def __init__(self, ask: Ask, *, model: str) -> None:
        self._ask = ask
        self._model = model
        self._id = f"chatcmpl-{secrets.token_hex(16)}"
        self._created = int(time.time())
        self._pieces: list[str] = []
        self._finish: Finish | None = None
        self.extra: dict[str, object] = {}
        """Fields of the message besides its text: a refusal, calls of tools."""
        self.extra_tokens = 0
        self.reasoning_tokens = 0

    # --- the parts of every answer

    def opening(self) -> Iterator[bytes]:
        """Yield the chunk that names the role."""
        yield self.delta({"role": "assistant", "content": "", "refusal": None})

    def text(self, piece: str) -> Iterator[bytes]:
        """Yield one chunk with text."""
        self.remember(piece)
        yield self.delta({"content": piece}, padded=piece)

    def closing(self, finish: Finish) -> Iterator[bytes]:
        """Yield the reason for the end, the usage if it was asked for, and `[DONE]`."""
        yield self.finishing(finish)
        if self._ask.include_usage:
            yield self.chunk([], usage=self._usage())
        yield DONE

    def result(self) -> dict[str, object]:
        """Return the completion."""
        text = "".join(self._pieces)
        message: dict[str, object] = {"role": "assistant", "content": text or None, "refusal": None, "annotations": []}
        finish = None if self._finish is None else str(self._finish)
        return {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model,
            "choices": [{"index": 0, "message": message | self.extra, "logprobs": None, "finish_reason": finish}],
            "usage": self._usage(),
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }

    # --- what they are made of; faults use these for output that the script never has

    def remember(self, piece: str) -> None:
        """Take `piece` into the result and the usage."""
        self._pieces.append(piece)

    def delta(self, fields: dict[str, object] | None, *, padded: str = "") -> bytes:
        """Encode a chunk of the one choice."""
        return self.chunk([choice(fields)], padded=padded)

    def finishing(self, finish: Finish) -> bytes:
        """Encode the chunk that says why the answer ends."""
        self._finish = finish
        return self.chunk([choice({}, finish=finish)])

    def chunk(
        self, choices: list[dict[str, object]], *, usage: dict[str, object] | None = None, padded: str = ""
    ) -> bytes:
        """Encode any chunk. `usage` is there, and null, in all but the last when it was asked for."""
        value: dict[str, object] = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
            "choices": choices,
        }
        if self._ask.include_usage or usage is not None:
            value["usage"] = usage
        if self._ask.obfuscate:
            value["obfuscation"] = padding(padded)
        return sse(value)

    def _usage(self) -> dict[str, object]:
        output = len(self._pieces) + self.extra_tokens
        return {
            "prompt_tokens": self._ask.input_tokens,
            "completion_tokens": output,
            "total_tokens": self._ask.input_tokens + output,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def choice(fields: dict[str, object] | None, *, index: int = 0, finish: Finish | None = None) -> dict[str, object]:
    """Return one entry of `choices`."""
    reason = None if finish is None else str(finish)
    return {"index": index, "delta": fields, "logprobs": None, "finish_reason": reason}
