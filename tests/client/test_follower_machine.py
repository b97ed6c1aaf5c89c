"""Random walks over the client's follower: a server that merges, and a wire that lies.

The model is the log itself. Whatever the wire loses, repeats or keeps back, what the reader has
applied is always exactly a beginning of the log, or a snapshot and exactly what follows it.
"""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from roomcast.core.events import JsonObject
from tests.client.scripted import delta, snapshot
from tests.client.test_follower import Wire


class FollowerMachine(RuleBasedStateMachine):
    """Log entries are one letter each, so the text of a prefix is as long as its last number."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.log = ""
        self.epoch = 1
        self.sent: int = 0  # position of the server's subscription
        self.applied = ""
        self.answer_join()

    def text(self, first: int, last: int) -> str:
        return self.log[first - 1 : last]

    def answer_join(self, *, expired: bool = False) -> None:
        """Answer the pending join as a server would: exactly what follows, or a snapshot."""
        command = self.wire.asked()
        after: JsonObject = command.get("after", {"epoch": "", "seq": 0})
        epoch, head = f"e{self.epoch}", len(self.log)
        resumed = after["epoch"] == epoch and after["seq"] <= head and not expired
        self.sent = after["seq"] if resumed else head
        result: JsonObject = {"epoch": epoch, "seq": self.sent, "head": head, "resumed": resumed}
        if not resumed:
            result |= {"snapshot": snapshot(text=self.log), "reset": "expired"}
        first = self.wire.follower.first is None
        self.wire.say({"type": "reply", "id": command["id"], "ok": True, "result": result})
        if first:
            self.applied = self.log

    @property
    def joining(self) -> bool:
        return self.wire.follower.joining

    @rule(text=st.text("abcdef", min_size=1, max_size=6))
    def append(self, text: str) -> None:
        self.log += text

    @precondition(lambda self: self.sent < len(self.log))
    @rule(most=st.integers(1, 8), lost=st.booleans(), twice=st.booleans())
    def deliver(self, most: int, lost: bool, twice: bool) -> None:
        """Send the next entries, merged; the wire may lose or repeat them."""
        first, self.sent = self.sent + 1, min(len(self.log), self.sent + most)
        event = delta(self.sent, self.text(first, self.sent), seq_from=first)
        for _ in range(0 if lost else 2 if twice else 1):
            self.wire.say(event)

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def repeat_something_old(self, data: st.DataObject) -> None:
        """A merge that the subscription never sent: its borders lie anywhere."""
        last = data.draw(st.integers(1, len(self.log)))
        first = data.draw(st.integers(1, last))
        self.wire.say(delta(last, self.text(first, last), seq_from=first))

    @rule()
    def beacon(self) -> None:
        if self.sent == len(self.log):
            self.wire.say({"type": "room.head", "epoch": f"e{self.epoch}", "seq": self.sent})

    @precondition(lambda self: not self.joining)
    @rule()
    def reset(self) -> None:
        self.sent = len(self.log)
        shot = snapshot(text=self.log)
        at = {"epoch": f"e{self.epoch}", "seq": self.sent, "head": self.sent}
        self.wire.say({"type": "room.reset", "reason": "lagging", **at, "snapshot": shot})

    @precondition(lambda self: self.joining)
    @rule(expired=st.booleans())
    def answer(self, expired: bool) -> None:
        self.answer_join(expired=expired)

    @rule(lose=st.integers(0, 3))
    def restart(self, lose: int) -> None:
        """The server lost its tail, so the log has another name and other content from there."""
        if lose:
            self.log = self.log[:-lose]
            self.epoch += 1
        if self.joining:
            self.wire.asked()
        self.wire.follower.join()
        self.answer_join()

    @rule()
    def read(self) -> None:
        for event, cursor in self.wire.taken():
            self.applied = event.data["snapshot"]["text"] if event.is_reset else self.applied + event.delta
            assert cursor.seq == len(self.applied)
            if cursor.epoch == f"e{self.epoch}":  # else it is from before a restart that lost some
                assert self.log.startswith(self.applied)

    def teardown(self) -> None:
        """At rest everything is here: the tail is sent, revealed by the beacon, and read."""
        for _ in range(20):
            if self.joining:
                self.answer_join()
            if self.sent < len(self.log):
                self.deliver(most=100, lost=False, twice=False)
            self.beacon()
        self.read()
        assert self.applied == self.log
        assert self.wire.follower.live


TestFollowerMachine = FollowerMachine.TestCase
