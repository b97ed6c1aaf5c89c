"""Whether and when to come back after a connection was lost. Pure.

    lost by                                        then
    ---------------------------------------------  ----------------------------------------
    4400, 4403, 1003, 1007, 1009; HTTP 4xx, 501    never: it would end the same way
    4401; HTTP 401 (also as the refusal of a join) with a new token, if there is a source of them
    4429, 1008, 1013; HTTP 429, 503                later: not before a second has passed
    everything else                                soon

Delays are full jitter: a random share of a bound that doubles with every attempt in vain, so
that a crowd that lost its server at one instant does not return at one instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

__all__ = ["Backoff", "Fate", "LinkLost", "Loss", "fate"]


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended, or why there was none.

    Attributes:
        reason: One line for a person.
        close_code: WebSocket close code; None when the socket just went away.
        status: HTTP status of a refused handshake, or of the code that refused the join.
        retry_after_s: What the server asked us to wait.
    """

    reason: str
    close_code: int | None = None
    status: int | None = None
    retry_after_s: float | None = None


class LinkLost(Exception):
    """The connection has ended, or could not be made."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.reason)
        self.loss = loss


class Fate(Enum):
    """What follows from a loss."""

    SOON = auto()
    LATER = auto()
    NEW_TOKEN = auto()
    NEVER = auto()


_BY_CLOSE_CODE: Final = {
    # The last three: something we sent was of a kind that this server never takes.
    **dict.fromkeys((4400, 4403, 1003, 1007, 1009), Fate.NEVER),
    **dict.fromkeys((4429, 1008, 1013), Fate.LATER),
    4401: Fate.NEW_TOKEN,
}
_BY_STATUS: Final = {
    401: Fate.NEW_TOKEN,
    408: Fate.SOON,
    **dict.fromkeys((425, 429, 503), Fate.LATER),
    501: Fate.NEVER,
}


def fate(loss: Loss) -> Fate:
    """Tell what follows from `loss`."""
    if loss.close_code is not None:
        return _BY_CLOSE_CODE.get(loss.close_code, Fate.SOON)
    if loss.status is not None:
        return _BY_STATUS.get(loss.status, Fate.NEVER if loss.status < 500 else Fate.SOON)
    return Fate.SOON


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait, by the number of attempts in vain.

    Attributes:
        base_s: Bound of the first delay.
        cap_s: Bound of every delay.
        later_s: Least delay when the server has too much to do.
    """

    base_s: float = 0.25
    cap_s: float = 15.0
    later_s: float = 1.0

    def delay_s(self, attempt: int, roll: float, loss: Loss) -> float:
        """Seconds to wait before the next attempt.

        Args:
            attempt: Attempts in vain so far, from 0.
            roll: A random number in [0, 1).
            loss: What ended the last one. What it asked us to wait is waited in full, and the
                jitter comes on top.
        """
        jitter_s = roll * min(self.cap_s, self.base_s * 2.0 ** min(attempt, 32))
        least_s = loss.retry_after_s if loss.retry_after_s is not None else 0.0
        if fate(loss) is Fate.LATER:
            least_s = max(least_s, self.later_s)
        return least_s + jitter_s
