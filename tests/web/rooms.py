"""Rooms that were lived in, by the real rules: their logs and snapshots are what the page will get."""

from __future__ import annotations

from typing import Any

import orjson

from roomcast.core.commands import MessageCreate, QueueUpdate, ResponseCancel
from roomcast.core.events import JsonObject
from roomcast.core.intents import Commanded, CutShort, Ended, Ending, HungUp, Intent, Produced
from roomcast.core.ports import Finish
from roomcast.core.profile import Profile
from roomcast.core.room_state import RoomState
from roomcast.core.rules import Batch, Rulebook, decide
from roomcast.core.session import Member
from roomcast.core.snapshot import snapshot

BOOK = Rulebook(profiles={"default": Profile(name="default")}, model="demo", simulated=True)
ADA, BO = Member("m_ada", "Ada"), Member("m_bo", "Bo")


class LivedRoom:
    """A room in which things happen one after the other; ids count from 1."""

    def __init__(self, *, keep_items: int = 500) -> None:
        self.state = RoomState("lobby", keep_items=keep_items)
        self.log: list[JsonObject] = []
        self._ids = 0

    def say(self, member: Member, text: str, *, respond: str = "auto") -> str:
        """Somebody says something; returns the id of the response that follows, if one does."""
        command = MessageCreate(id="c", room="lobby", content=text, respond="never" if respond == "never" else "auto")
        return str((self._command(command, member) or {}).get("response_id", ""))

    def cancel(self, member: Member, response_id: str) -> None:
        """Somebody stops a response."""
        self._command(ResponseCancel(id="c", room="lobby", response_id=response_id), member)

    def reword(self, member: Member, response_id: str, text: str) -> None:
        """Somebody says a question that waits in other words."""
        self._command(QueueUpdate(id="c", room="lobby", response_id=response_id, content=text), member)

    def begin(self, response_id: str) -> None:
        """The model opens a message."""
        item: JsonObject = {"id": self._message(response_id), "type": "message", "role": "assistant", "content": []}
        part: JsonObject = {"type": "output_text", "text": "", "annotations": []}
        self._produce(response_id, "response.output_item.added", output_index=0, item={**item, "status": "in_progress"})
        self._produce(response_id, "response.content_part.added", part=part, **self._place(response_id))

    def write(self, response_id: str, text: str) -> None:
        """The model writes on."""
        self._produce(response_id, "response.output_text.delta", delta=text, **self._place(response_id))

    def end(self, response_id: str, ending: Ending | None = None) -> None:
        """The stream is over; by default the model said so."""
        usage = {"output_tokens": 5, "source": "reported"}
        self._decide(Ended(response_id, ending or Finish("completed"), usage, first_output_ms=10, total_ms=110))

    def answer(self, response_id: str, text: str) -> None:
        """A whole answer at once."""
        self.begin(response_id)
        self.write(response_id, text)
        self.end(response_id)

    def snapshot(self) -> Any:
        """What a late comer gets."""
        return orjson.loads(orjson.dumps(snapshot(self.state, items=50, items_bytes=262_144)))

    def _message(self, response_id: str) -> str:
        return f"msg_of_{response_id}"

    def _place(self, response_id: str) -> JsonObject:
        return {"item_id": self._message(response_id), "output_index": 0, "content_index": 0}

    def _produce(self, response_id: str, kind: str, **fields: object) -> None:
        self._decide(Produced(response_id, [{"type": kind, **fields}], 10))

    def _command(self, command: MessageCreate | QueueUpdate | ResponseCancel, member: Member) -> JsonObject | None:
        self._ids += 1
        return self._decide(Commanded(command, member, f"item_{self._ids}", f"resp_{self._ids}"))

    def _decide(self, intent: Intent) -> JsonObject | None:
        batch = Batch(self.state, BOOK, 1_795_334_400_000 + len(self.log) * 1_000)
        result = decide(batch, intent)
        self.state = batch.state
        self.log += batch.events
        return result


def busy_room() -> LivedRoom:
    """Every way an answer can stand: completed, cut short, stopped, withdrawn, running, waiting; and a note."""
    room = LivedRoom()
    room.answer(room.say(ADA, "one"), "first answer")
    cut = room.say(BO, "two")
    room.begin(cut)
    room.write(cut, "half")
    room.end(cut, CutShort("upstream_eof"))
    stopped = room.say(ADA, "three")
    waiting = room.say(BO, "four")
    withdrawn = room.say(ADA, "five")
    room.begin(stopped)
    room.write(stopped, "so far")
    room.cancel(ADA, withdrawn)
    room.cancel(BO, stopped)
    room.end(stopped, HungUp(20))
    room.say(BO, "a note", respond="never")
    room.say(ADA, "six")
    room.begin(waiting)
    room.write(waiting, "on its ")
    room.write(waiting, "way")
    return room
