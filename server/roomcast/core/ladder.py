"""How far down a viewer is that does not keep up: `on_slow`, and what follows when merging is not enough.

    coalesce ──► snapshot ──► disconnect          only ever down, each step announced

Merging is given up for a snapshot when what is missing is more bytes than a snapshot has.
Whoever catches up, or was given a snapshot, begins at the top again.

Not here: the last step of all, when nothing could be written for too long (subscriber/overflow.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["WORTH_BYTES", "Ladder"]

WORTH_BYTES: Final = 256 * 1024
"""Up to this merging goes on whatever a snapshot has: it is one write, and a viewer that merges keeps its place."""


class Ladder:
    """Where one viewer stands.

    Attributes:
        policy: What the viewer chose: `coalesce`, `snapshot` or `disconnect`.
        step: What is being done about its lag; None while it keeps up.
    """

    __slots__ = ("_announced", "_compared_bytes", "policy", "step")

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.step: str | None = None
        self._announced = False
        self._compared_bytes = WORTH_BYTES

    def descend(self, missing_bytes: int, snapshot_bytes: Callable[[], int]) -> str | None:
        """The step that is reached now; None when it is no new one.

        Args:
            missing_bytes: What the viewer would be sent, its deltas merged.
            snapshot_bytes: Measures a snapshot for it; asked again only when as much as that is missing.
        """
        if self.step is None:
            self.step, self._announced = self.policy, True
            return self.step
        if self.step == "coalesce" and missing_bytes > self._compared_bytes:
            self._compared_bytes = max(WORTH_BYTES, snapshot_bytes())
            if missing_bytes > self._compared_bytes:
                self.step = "snapshot"
                return self.step
        return None

    def restart(self) -> None:
        """It was given a snapshot: what is missing from here on counts anew."""
        self.step, self._compared_bytes = None, WORTH_BYTES

    def recover(self) -> bool:
        """It has caught up; whether its lag was announced, and is so no more."""
        self.restart()
        announced, self._announced = self._announced, False
        return announced
