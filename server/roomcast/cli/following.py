"""Follow a room into a stream of text: as lines for people, or as JSON for programs."""

from __future__ import annotations

import json
from typing import TextIO

from roomcast.cli.scroll import Scroll
from roomcast.cli.terminal import Writer
from roomcast.client import Room, Transcript

__all__ = ["as_json_lines", "as_lines", "writing_to"]


def writing_to(stream: TextIO, *, prompt: str = "") -> Writer:
    """A writer whose text appears in `stream` at once."""

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return Writer(write, prompt=prompt)


async def as_lines(room: Room, stream: TextIO, *, until_idle: bool) -> None:
    """Write the conversation; ends only when nothing is under way, and only if asked to."""
    scroll = Scroll(writing_to(stream), room.snapshot)
    while not (until_idle and scroll.idle):
        scroll.apply(await anext(room))


async def as_json_lines(room: Room, stream: TextIO, *, until_idle: bool) -> None:
    """Write every event as it came, after a `room.reset` with what there was before.

    Escaped to ASCII: what a terminal would obey stays a sequence of letters.
    """
    transcript = Transcript(room.snapshot)
    beginning = {"type": "room.reset", "room": room.name, "reason": "new", **room.cursor._asdict()}
    stream.write(f"{json.dumps({**beginning, 'snapshot': room.snapshot})}\n")
    stream.flush()
    while not (until_idle and not transcript.running):
        event = await anext(room)
        transcript.apply(event)
        stream.write(f"{json.dumps(event.data)}\n")
        stream.flush()
