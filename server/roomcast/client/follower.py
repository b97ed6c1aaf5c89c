"""What a room says becomes what its reader sees: no loop, no socket, no clock.

    message ──► take ──► Coverage ──► Answers, Roster, Inbox
                  └── a gap ──► a join, first in the Outbox

Invariants
    F1  Between a join and its answer nothing of the room counts: what still comes belongs to
        the subscription before.
    F2  What is handed over is what `Coverage` has let pass: each number once, without a hole,
        or a reset that says that everything before is replaced.
    F3  A gap is answered by a join from where we stand; one that three joins do not close, by a
        join from nowhere, which brings a snapshot.

Not here: connections (session.py), and the rules about numbers (cursor.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roomcast.client.answers import Answers
from roomcast.client.comeback import LinkLost, Loss
from roomcast.client.cursor import Coverage, Verdict
from roomcast.client.errors import Refused
from roomcast.client.events import RoomEvent
from roomcast.client.inbox import Inbox
from roomcast.client.outbox import Outbox, fresh_id
from roomcast.client.roster import Roster
from roomcast.core.errors import HTTP_STATUS
from roomcast.core.events import Cursor, JsonObject, encode

__all__ = ["Follower", "Joined"]

GAPS_IN_VAIN: Final = 3
ALL_KINDS: Final = frozenset({"reasoning", "tools", "annotations", "media"})


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to a join, as far as it is needed here."""

    at: Cursor
    head: int
    resumed: bool
    reason: str
    snapshot: JsonObject | None
    members: list[JsonObject]
    member_count: int
    you: JsonObject
    complete: bool

    @classmethod
    def from_json(cls, result: JsonObject) -> Joined:
        """Read the result of `room.join`.

        Raises:
            LinkLost: It makes no sense.
        """
        try:
            members: list[JsonObject] = result.get("members", [])
            return cls(
                at=Cursor(result["epoch"], result["seq"]),
                head=result["head"],
                resumed=result["resumed"],
                reason=result.get("reset", "new"),
                snapshot=None if result["resumed"] else result["snapshot"],
                members=members,
                member_count=result.get("member_count", len(members)),
                you=result.get("you", {}),
                complete=set(result.get("include", ALL_KINDS)) >= ALL_KINDS,
            )
        except (KeyError, TypeError) as error:
            raise LinkLost(Loss(f"the answer to the join makes no sense: {error!r}")) from error


class Follower:
    """Everything that is known of a room, and what to ask for next.

    Args:
        fields: Fields of `room.join` besides `room` and `after`.
        after: Position to go on from; None begins with a snapshot.

    Attributes:
        first: The answer to the first join.
        fruitful: Whether events came since this was last set to False.
        come_back_s: What a draining server asked its clients to wait.
        token_expires: Whether a new token is wanted since this was last set to False.
    """

    def __init__(self, room: str, fields: JsonObject, after: Cursor | None, inbox: Inbox, outbox: Outbox) -> None:
        self.answers = Answers()
        self.roster = Roster()
        self.you: JsonObject = {}
        self.first: Joined | None = None
        self.fruitful = False
        self.come_back_s: float | None = None
        self.token_expires = False
        self._room, self._fields = room, fields
        self._inbox, self._outbox = inbox, outbox
        self._coverage = Coverage(after)
        self._from_nothing = after is None
        self._join_id: str | None = None
        self._asked_after: Cursor | None = None
        self._live_from = 0
        self._gaps = 0

    @property
    def cursor(self) -> Cursor | None:
        """Everything up to here has arrived; None while we begin anew."""
        return self._coverage.cursor

    @property
    def joining(self) -> bool:
        """Whether a join waits for its answer."""
        return self._join_id is not None

    @property
    def live(self) -> bool:
        """Whether everything has been applied that was there when we joined."""
        cursor = self._coverage.cursor
        return not self.joining and cursor is not None and cursor.seq >= self._live_from

    def join(self) -> None:
        """Ask for what follows our position, or for a snapshot if we have none."""
        self._join_id, self._asked_after = fresh_id("cmd"), self._coverage.cursor
        after = {} if self._asked_after is None else {"after": self._asked_after._asdict()}
        command = {"type": "room.join", "id": self._join_id, "room": self._room, **self._fields, **after}
        self._outbox.first(encode(command))

    def forget(self) -> None:
        """Give our position up, because the reader's place was given up: join anew after this."""
        self._coverage.forget()
        self._inbox.restart()

    def take(self, message: JsonObject) -> None:
        """Take one message of the server.

        Raises:
            LinkLost: The join was refused, so there is nothing to follow on this connection.
        """
        match message.get("type"):
            case "reply" if message.get("id") == self._join_id:
                self._take_join(message)
            case "reply":
                self._outbox.reply(message)
            case "session.expiring":
                self.token_expires = True
                self._hand_over(message)
            case "server.draining":
                self.come_back_s = message.get("retry_after_ms", 0) / 1_000
                self._hand_over(message)
            case _ if self.joining or message.get("room", self._room) != self._room:
                pass  # F1
            case "room.head":
                if self._coverage.head(Cursor(message["epoch"], message["seq"])) is Verdict.GAP:
                    self._gap()
            case "room.reset":
                self._coverage.start(Cursor(message["epoch"], message["seq"]))
                self._reset(message)
            case "presence.updated":
                self.roster.apply(message)
                self._hand_over(message)
            case _ if "seq" in message:
                self._take_event(message)
            case _:
                self._hand_over(message)

    def _take_event(self, message: JsonObject) -> None:
        match self._coverage.take(message["seq"], message.get("seq_from")):
            case Verdict.APPLY:
                self._gaps = 0
                self.fruitful = True
                self.answers.apply(self._hand_over(message))
            case Verdict.GAP:
                self._gap()
            case Verdict.DROP:
                pass

    def _gap(self) -> None:
        self._gaps += 1
        if self._gaps > GAPS_IN_VAIN:
            self._coverage.forget()
        self.join()

    def _take_join(self, reply: JsonObject) -> None:
        self._join_id = None
        if reply.get("ok") is not True:
            raise _lost_by(Refused.from_json(reply.get("error")))
        joined, asked_after = Joined.from_json(reply.get("result", {})), self._asked_after
        if joined.resumed and (asked_after is None or joined.at.seq != asked_after.seq):
            self._coverage.forget()
            return self.join()  # what lies between would be missing in silence
        self._coverage.start(joined.at, complete=joined.complete)
        self.roster.start(joined.members, joined.member_count)
        self.you = joined.you
        self._live_from = joined.head
        self._outbox.open()
        if joined.snapshot is not None and self.first is None and self._from_nothing:
            self.answers.reset(joined.snapshot)  # `first` has it: the reader starts there
        elif joined.snapshot is not None:
            self._reset(
                {
                    "type": "room.reset",
                    "room": self._room,
                    "reason": "lagging" if asked_after is None else joined.reason,
                    "epoch": joined.at.epoch,
                    "seq": joined.at.seq,
                    "head": joined.head,
                    "snapshot": joined.snapshot,
                }
            )
        if self.first is None:
            self.first = joined
        return None

    def _reset(self, message: JsonObject) -> None:
        self._gaps = 0
        self.answers.reset(message["snapshot"])
        self._hand_over(message)

    def _hand_over(self, message: JsonObject) -> RoomEvent:
        seq = message.get("seq")
        event = RoomEvent(message["type"], seq, message.get("seq_from", seq), message)
        cursor = self._coverage.cursor
        if cursor is not None:
            self._inbox.put(event, cursor)
        return event


def _lost_by(refused: Refused) -> LinkLost:
    """Turn the refusal of a join into the loss that it amounts to."""
    after_ms = refused.retry_after_ms
    lost = LinkLost(
        Loss(
            str(refused),
            status=503 if refused.retryable else HTTP_STATUS.get(refused.code, 500),
            retry_after_s=None if after_ms is None else after_ms / 1_000,
        )
    )
    lost.__cause__ = refused
    return lost
