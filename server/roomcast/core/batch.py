"""The next append of one room while it is being decided, and what its deciding may know.

    Batch(state, rulebook, now_ms) ── emit(draft) ──► event, numbered and folded

Throwing a batch away undoes it: the state that it was made from is never changed.

Not here: which drafts follow from an intent (rules.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomcast.core.events import JsonObject, envelope
from roomcast.core.limits import Limits
from roomcast.core.ports import TokenCounter
from roomcast.core.profile import Profile
from roomcast.core.room_state import Item, RoomState
from roomcast.core.usage import RoughTokens

__all__ = ["Batch", "Rulebook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What the rules need to know of the configuration.

    Attributes:
        model: Model name of profiles that name none.
        simulated: Whether the demo model answers; said on every response.
        on_busy: What a new room does with a prompt that arrives while a response runs.
        debounce_s: How long nobody may ask before a prompt that waits for quiet starts.
        respond: Whether a new room answers messages: `always` or `never`.
        create: Whether a room comes into being by being named.
        tokens: Estimates usage where nobody is left to report it.
    """

    limits: Limits = field(default_factory=Limits)
    profiles: Mapping[str, Profile] = field(default_factory=dict[str, Profile])
    model: str = ""
    simulated: bool = False
    on_busy: str = "enqueue"
    debounce_s: float = 2.0
    respond: str = "always"
    create: bool = True
    tokens: TokenCounter = field(default_factory=RoughTokens)


class Batch:
    """A tentative state and the events that lead to it.

    Attributes:
        events: What was emitted, numbered.
        items: The items of the conversation that these events complete.

    Args:
        state: The committed state; it is not changed.
        now_ms: Unix time for the events' `at`.
        draining: Whether nothing new may start.
    """

    def __init__(self, state: RoomState, rulebook: Rulebook, now_ms: int, *, draining: bool = False) -> None:
        self.base_seq = state.seq
        self.state = state.fork()
        self.rulebook = rulebook
        self.now_ms = now_ms
        self.draining = draining
        self.events: list[JsonObject] = []
        self.items: list[Item] = []

    @property
    def deletes(self) -> bool:
        """Whether nothing is left of the room behind it; then nothing more is decided in it."""
        return bool(self.events) and self.events[-1]["type"] == "room.deleted"

    def emit(self, draft: JsonObject) -> JsonObject:
        """Number a draft, fold it into the tentative state, and keep it. Returns the event."""
        state = self.state
        event = envelope(state.name, state.seq + 1, self.now_ms, draft)
        if draft["type"].startswith("response."):
            response = state.responses.get(draft["response_id"])
            event["sequence_number"] = response.sequence if response else 0
        self.items += state.fold(event)
        self.events.append(event)
        return event
