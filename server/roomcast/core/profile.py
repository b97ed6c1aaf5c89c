"""A profile: a named assistant set-up. Clients choose one by name and may change what it allows.

Not here: reading profiles from files (config.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject

__all__ = ["Profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How to ask the model.

    Attributes:
        model: Model name; empty means `upstream.model`.
        instructions: System text; empty means none.
        parameters: OpenAI Responses fields sent with each request (`temperature`, `max_output_tokens`, …).
        allow: Names of OpenAI fields that a `response.create` may set itself.
        models: Model names that a `response.create` may choose; empty means only `model`.
    """

    name: str
    model: str = ""
    instructions: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    allow: Sequence[str] = ("temperature", "top_p", "max_output_tokens", "text", "reasoning", "metadata")
    models: Sequence[str] = ()

    def admit(self, wanted: JsonObject, *, default_model: str = "") -> JsonObject:
        """Return the fields of `wanted` that go to the model.

        Args:
            wanted: OpenAI's fields that a client set.
            default_model: What this profile's model is when it names none.

        Raises:
            Refusal: `invalid_value` naming the first field or model that this profile does not allow.
        """
        for name, value in wanted.items():
            if name == "model":
                if value != (self.model or default_model) and value not in self.models:
                    raise Refusal("invalid_value", f"profile {self.name} does not offer this model", param="model")
            elif name not in self.allow:
                raise Refusal("invalid_value", f"profile {self.name} does not let clients set {name}", param=name)
        return wanted
