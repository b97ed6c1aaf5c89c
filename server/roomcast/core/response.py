"""One run of the model, as its room knows it: from its `response.created` to what its terminal left.

Not here: which status follows which (response_state.py); its output (output.py); the shape of
its terminal (endings.py) and of what viewers get (snapshot.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from roomcast.core.events import JsonObject, as_object
from roomcast.core.item import Item
from roomcast.core.output import Output
from roomcast.core.response_state import ENDINGS, Status
from roomcast.core.session import SYSTEM

__all__ = ["Response"]

_CHANGING: Final = frozenset({"status", "output", "usage", "error", "incomplete_details"})
_ENDING: Final = ("error", "usage", "incomplete_details", "model", "service_tier", "completed_at")
_ENDING_BESIDE: Final = ("digest", "timings", "receipt", "reason", "into", "cause")


@dataclass(frozen=True, slots=True)
class Response:
    """One run of the model. Replaced, never changed, but for `output` and `placed` in a fork.

    Attributes:
        base: OpenAI's response object less what changes (`status`, `output`, `usage`, …).
        prompt_id: The item that it answers.
        by: Who asked: `{id, name}`.
        request: OpenAI's fields that the asker set, for the upstream.
        sequence: Next `sequence_number`.
        placed: Parent and seq of each output item, by item id.
        merged: Items of the prompts that were merged into its own, in the order they were asked.
        quiet_ms: While it waits: for how long nobody may ask before it starts; 0 when it need not wait for that.
        cancel: Who cancelled, why and when (`{by, reason, at}`), once somebody did.
        ended_seq: Number of its terminal; 0 until then.
        ending: What the terminal left for snapshots: `error`, `usage`, `digest`, `timings`, `receipt`, ….
    """

    id: str
    status: Status
    base: JsonObject
    prompt_id: str | None
    by: JsonObject
    profile: str
    request: JsonObject
    created_at: int
    started_at: int | None = None
    first_output_at: int | None = None
    sequence: int = 0
    output: Output = field(default_factory=Output)
    placed: dict[str, tuple[str | None, int]] = field(default_factory=dict[str, "tuple[str | None, int]"])
    merged: tuple[str, ...] = ()
    quiet_ms: int = 0
    cancel: JsonObject | None = None
    ended_seq: int = 0
    ending: JsonObject = field(default_factory=dict[str, Any])

    @classmethod
    def created(cls, event: JsonObject) -> Response:
        """A response from its `response.created`."""
        shown = event["response"]
        return cls(
            id=event["response_id"],
            status=Status(shown["status"]),
            base={name: value for name, value in shown.items() if name not in _CHANGING},
            prompt_id=shown.get("item_id"),
            by=event.get("by", {}),
            profile=shown.get("profile", "default"),
            request=event.get("request", {}),
            created_at=event["at"],
            sequence=event.get("sequence_number", 0) + 1,
        )

    @property
    def ended(self) -> bool:
        """Whether its one terminal is committed."""
        return self.status in ENDINGS

    @property
    def questions(self) -> tuple[str, ...]:
        """Items that it answers, its own prompt last."""
        return self.merged if self.prompt_id is None else (*self.merged, self.prompt_id)

    @property
    def newest_item_id(self) -> str | None:
        """Its newest output item, or its prompt: what its next item hangs below, unless its branch has grown."""
        return next(reversed(self.placed), self.prompt_id)

    def waiting_as(self, entry: JsonObject) -> Response:
        """The same response, as the line names it: to which prompt, and whether it waits for quiet."""
        prompt_id, quiet_ms = entry.get("item_id"), entry.get("quiet_ms", 0)
        if (prompt_id, quiet_ms) == (self.prompt_id, self.quiet_ms):
            return self
        return replace(self, prompt_id=prompt_id, base={**self.base, "item_id": prompt_id}, quiet_ms=quiet_ms)

    def fork(self) -> Response:
        """A copy whose output can go on without being seen here."""
        return replace(self, output=self.output.fork(), placed=dict(self.placed))

    def items(self, terminal: JsonObject) -> list[Item]:
        """Its whole output, from its terminal, as items of the conversation."""
        completed: list[Item] = []
        for entry in terminal["response"].get("output", ()):
            item = as_object(entry)
            if item is None or not isinstance(item.get("id"), str):
                continue
            parent_id, seq = self.placed.get(item["id"], (item.get("parent_id"), terminal["seq"]))
            place = {"parent_id": parent_id, "at": terminal["at"], "seq": seq, "response_id": self.id}
            completed.append(Item.of({**item, **place, "by": SYSTEM.by()}, seq))
        return completed

    def ended_with(self, terminal: JsonObject) -> Response:
        """What is kept of it behind its terminal: how it ended, and none of its output."""
        shown = terminal["response"]
        ending = {name: shown[name] for name in _ENDING if shown.get(name) is not None}
        ending |= {name: terminal[name] for name in _ENDING_BESIDE if name in terminal}
        return replace(
            self,
            status=Status(terminal["type"].removeprefix("response.")),
            output=Output(),
            placed={},
            ended_seq=terminal["seq"],
            ending=ending,
            request={},
        )

    def dump(self) -> JsonObject:
        """Everything, for a checkpoint."""
        return {
            "id": self.id,
            "status": self.status.value,
            "base": self.base,
            "prompt_id": self.prompt_id,
            "by": self.by,
            "profile": self.profile,
            "request": self.request,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "first_output_at": self.first_output_at,
            "sequence": self.sequence,
            "output": self.output.dump(),
            "placed": self.placed,
            "merged": self.merged,
            "quiet_ms": self.quiet_ms,
            "cancel": self.cancel,
            "ended_seq": self.ended_seq,
            "ending": self.ending,
        }

    @classmethod
    def load(cls, dumped: JsonObject) -> Response:
        """Take up what `dump` gave."""
        placed = {item_id: (parent_id, seq) for item_id, (parent_id, seq) in dumped["placed"].items()}
        values: JsonObject = {
            **dumped,
            "status": Status(dumped["status"]),
            "output": Output.load(dumped["output"]),
            "placed": placed,
            "merged": tuple(dumped.get("merged", ())),
        }
        return cls(**values)
