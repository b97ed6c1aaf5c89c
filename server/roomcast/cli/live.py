"""Follow a room in a terminal: what is finished scrolls up, what grows stays at the bottom."""

from __future__ import annotations

import anyio
from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from roomcast.cli.scroll import ASSISTANT, ending, name_of
from roomcast.cli.terminal import clean, clean_line
from roomcast.client import Answer, Message, Room, RoomEvent, Transcript

__all__ = ["LiveView", "follow_live"]

REFRESH_S = 0.1
FOOTER_LINES = 3


async def follow_live(room: Room, *, until_idle: bool) -> None:
    """Draw the room until nothing is under way, if asked to, else without end."""
    console = Console()
    view = LiveView(console, room)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop", get_renderable=view.render) as live:
        view.print_entries()
        live.refresh()
        drawn_at, stale = anyio.current_time(), False
        while not (until_idle and view.idle):
            # Text that comes faster than one can see is drawn ten times a second, and its last piece as well.
            with anyio.move_on_at(drawn_at + REFRESH_S if stale else float("inf")):
                view.apply(await anext(room))
                stale = True
            if anyio.current_time() >= drawn_at + REFRESH_S or view.idle:
                live.refresh()
                drawn_at, stale = anyio.current_time(), False


class LiveView:
    """What is on the screen."""

    def __init__(self, console: Console, room: Room) -> None:
        self._console = console
        self._room = room
        self._transcript = Transcript(room.snapshot)

    @property
    def idle(self) -> bool:
        """Whether no answer is queued or under way."""
        return not self._transcript.running

    def print_entries(self) -> None:
        """Print what is finished already."""
        for entry in self._transcript.entries:
            if isinstance(entry, Message):
                self._print_message(entry)
            elif entry.ended:
                self._print_answer(entry)

    def apply(self, event: RoomEvent) -> None:
        """Take an event; what it finishes is printed above the rest."""
        changed = self._transcript.apply(event)
        if event.is_reset:
            self._console.rule(f"the room begins anew: {clean_line(str(event.data.get('reason')))}", style="dim")
            self.print_entries()
        elif isinstance(changed, Message):
            self._print_message(changed)
        elif isinstance(changed, Answer) and event.is_terminal:
            self._print_answer(changed)

    def render(self) -> Group:
        """Draw what grows: the end of each answer, as far as it fits, and one line about the room."""
        running = self._transcript.running
        lines = max(1, (self._console.height - FOOTER_LINES) // max(1, len(running)) - 2)
        parts = list[Text]()
        for answer in running:
            parts.append(self._heading(f"{ASSISTANT} · {answer.status.replace('_', ' ')} · for {name_of(answer.by)}"))
            wrapped = Text(clean(answer.text)).wrap(self._console, self._console.width)
            parts.extend(wrapped[-lines:])
        here = f"{self._room.member_count} here"
        parts.append(Text(f"{clean_line(self._room.name)} · {self._room.status} · {here}", style="dim"))
        return Group(*parts)

    def _heading(self, text: str) -> Text:
        return Text(text, style="bold", no_wrap=True, overflow="ellipsis")

    def _print_message(self, message: Message) -> None:
        self._console.print(self._heading(clean_line(message.name)))
        self._console.print(Text(clean(message.text) or f"[{message.status}]"))
        self._console.print()

    def _print_answer(self, answer: Answer) -> None:
        self._console.print(self._heading(ASSISTANT))
        if text := clean(answer.text or answer.refusal):
            # A link shows where it leads instead of hiding it behind its words.
            self._console.print(Markdown(text, hyperlinks=False))
        if (note := ending(answer)) is not None:
            self._console.print(Text(note, style="yellow"))
        self._console.print()
