"""A conversation as it scrolls by: the events of a room as lines, answers as they grow."""

from __future__ import annotations

from roomcast.cli.terminal import Writer, clean_line
from roomcast.client import Answer, Message, RoomEvent, Transcript
from roomcast.client.events import as_object
from roomcast.core.events import JsonObject

__all__ = ["Scroll", "ending", "name_of"]

ASSISTANT = "assistant"


def name_of(who: object) -> str:
    """The name of a member, or of whoever is behind an event, safe to show."""
    known = as_object(who)
    return clean_line(str(known.get("name") or known.get("id") or "somebody"))


def ending(answer: Answer) -> str | None:
    """Say in brackets how an answer ended; None when there is nothing to say."""
    if answer.terminal is None or (answer.status == "completed" and answer.verified is not False):
        return None
    if answer.status == "completed":
        return "[this is not the whole text: its digest does not agree]"
    who = as_object(answer.terminal.data.get("receipt")).get("by")
    by = f" by {name_of(who)}" if who else ""
    reason = f": {clean_line(answer.reason)}" if answer.reason and answer.reason != answer.status else ""
    return f"[{answer.status}{by}{reason}]"


class Scroll:
    """Writes what changes.

    Args:
        writer: Where to.
        snapshot: What there is to begin with.
        own: Id of a member whose messages are not written, because they stand there as typed.
    """

    def __init__(self, writer: Writer, snapshot: JsonObject | None, *, own: str | None = None) -> None:
        self._writer = writer
        self._own = own
        self._transcript = Transcript(snapshot)
        self._seen: dict[str, dict[tuple[str, int], int]] = {}
        self._write_entries()

    @property
    def idle(self) -> bool:
        """Whether no answer is queued or under way."""
        return not self._transcript.running

    def apply(self, event: RoomEvent) -> None:
        """Write what an event changes."""
        changed = self._transcript.apply(event)
        if event.is_reset:
            self._seen.clear()
            self._writer.line(f"[the room begins anew: {clean_line(str(event.data.get('reason')))}]")
            self._write_entries()
        elif isinstance(changed, Answer):
            self._answer(changed, event)
        elif isinstance(changed, Message):
            self._message(changed, event)
        elif event.type in ("room.degraded", "room.restored", "server.draining"):
            self._writer.line(f"[{event.type.replace('.', ' is ')}]")

    def _write_entries(self) -> None:
        for entry in self._transcript.entries:
            if isinstance(entry, Message):
                self._writer.message(entry.name, entry.text or f"[{entry.status}]")
            else:
                self._write_answer(entry)
        self._writer.rest()

    def _message(self, message: Message, event: RoomEvent) -> None:
        if message.status == "retracted":
            self._writer.line(f"[a message of {clean_line(message.name)} was taken back]")
            return
        if self._own is None or as_object(event.data.get("by")).get("id") != self._own:
            self._writer.message(message.name, message.text)

    def _answer(self, answer: Answer, event: RoomEvent) -> None:
        if event.type == "response.created" and answer.status == "queued":
            self._writer.line(f"[queued for {name_of(answer.by)}]")
        elif event.type == "response.attempt_superseded":
            self._writer.line("[the model starts over]")
        self._write_answer(answer)

    def _write_answer(self, answer: Answer) -> None:
        seen = self._seen.setdefault(answer.id, {})
        self._writer.piece(answer.id, ASSISTANT, answer.unread(seen))
        if answer.ended:
            self._seen.pop(answer.id, None)
            if answer.refusal:
                self._writer.piece(answer.id, ASSISTANT, answer.refusal)
            self._writer.pause()
            if (note := ending(answer)) is not None:
                self._writer.line(note)
            self._writer.rest()
