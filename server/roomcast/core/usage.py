"""What a response used, where the model service does not say: estimated from what went in and came out.

Every terminal has a `usage`, in the Responses API's shape with `source` beside it: `reported`
by the service, or `estimated` here. Nobody is billed by an estimate.

Not here: counting (a `TokenCounter` does); reading what is reported (upstream/usage.py).
"""

from __future__ import annotations

from typing import Final

from roomcast.core.events import JsonObject, as_array, as_object
from roomcast.core.ports import TokenCounter, UpstreamRequest

__all__ = ["RoughTokens", "estimated", "rough_count", "unused"]

_CHARACTERS_A_TOKEN: Final = 4
"""English prose has a little more, other languages less."""

_MESSAGE_TOKENS: Final = 3
"""What a chat format puts around each message, and before the answer; as OpenAI's cookbook counts them."""


def rough_count(text: str) -> int:
    """About how many tokens `text` has, from its length."""
    return -(-len(text) // _CHARACTERS_A_TOKEN)


class RoughTokens:
    """A `TokenCounter` that needs no table."""

    def count(self, text: str) -> int:
        """About how many tokens `text` has."""
        return rough_count(text)


def estimated(tokens: TokenCounter, request: UpstreamRequest, said: str) -> JsonObject:
    """Usage of a request that was made, and of the text that came back."""
    input_tokens = tokens.count("\n".join(_texts(request))) + _MESSAGE_TOKENS * (len(request.input) + 1)
    return _usage(input_tokens, tokens.count(said))


def unused() -> JsonObject:
    """Usage of a response that never ran."""
    return _usage(0, 0)


def _usage(input_tokens: int, output_tokens: int) -> JsonObject:
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "source": "estimated",
    }


def _texts(request: UpstreamRequest) -> list[str]:
    parts = [as_object(part) or {} for item in request.input for part in as_array(item.get("content")) or ()]
    return [request.instructions, *(part["text"] for part in parts if isinstance(part.get("text"), str))]
