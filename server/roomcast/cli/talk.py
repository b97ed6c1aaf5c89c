"""A conversation between lines that are typed and a room that speaks by itself.

Two tasks: one writes what happens in the room, the other takes lines. Where nobody sits at the
keyboard, a line waits for the answer to the one before; commands never wait.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio

from roomcast.cli.scroll import Scroll, name_of
from roomcast.cli.terminal import Writer, clean_line
from roomcast.client import ClientError, Refused, Room, RoomEvent
from roomcast.core.events import JsonObject

__all__ = ["Talk"]

HELP = "/stop ends the answer, /who lists who is here, /quit leaves; // begins a line that starts with /"


class Talk:
    """One visit to a room.

    Args:
        interactive: Whether a person types: then their own lines stand there already, lines do
            not wait for answers, and who comes and goes is told while nobody speaks.
    """

    def __init__(self, room: Room, writer: Writer, *, interactive: bool) -> None:
        self._room = room
        self._writer = writer
        self._interactive = interactive
        own = room.you.get("id") if interactive else None
        if interactive:
            writer.line(f"[{clean_line(room.name)}: {room.member_count} here. {HELP}]")
        self._scroll = Scroll(writer, room.snapshot, own=own)
        self._written = anyio.Event()
        self._response_id: str | None = None
        self._names = {member["id"]: name_of(member) for member in room.members}

    async def run(self, lines: AsyncGenerator[str]) -> None:
        """Talk until the lines end or somebody quits.

        Raises:
            ClientError: The room is closed.
        """
        failures = list[ClientError]()
        async with anyio.create_task_group() as tasks:

            async def follow() -> None:
                try:
                    async for event in self._room:
                        self._apply(event)
                except ClientError as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()

            tasks.start_soon(follow)
            try:
                await self._take(lines)
            except ClientError as error:
                failures.append(error)
            tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]

    async def _take(self, lines: AsyncGenerator[str]) -> None:
        self._writer.rest()
        async for line in lines:
            self._writer.entered()
            try:
                if line.strip() == "/quit":
                    return
                await self._act(line.strip())
            except Refused as refused:
                self._writer.line(f"[refused: {clean_line(str(refused))}]")
            self._writer.rest()
        if not self._interactive:
            await self._answered()

    async def _act(self, line: str) -> None:
        match line:
            case "":
                pass
            case "/stop":
                stopped = await self._room.cancel()
                self._writer.line(f"[{stopped.status}]")
            case "/who":
                names = ", ".join(name_of(member) for member in self._room.members)
                self._writer.line(f"[{self._room.member_count} here: {names}]")
            case _ if line.startswith("/") and not line.startswith("//"):
                self._writer.line(f"[{HELP}]")
            case _:
                await self._say(line.removeprefix("/"))

    async def _say(self, text: str) -> None:
        if not self._interactive:
            await self._answered()
        asked = await self._room.ask(text, respond="auto")
        self._response_id = asked.response_id

    async def _answered(self) -> None:
        """Wait until the last answer has ended and all of it is written."""
        if self._response_id is not None:
            await self._room.wait(self._response_id)
            while self._room.behind:
                await self._written.wait()

    def _came_and_went(self, signal: JsonObject) -> list[str]:
        """Who else came and went; those who left are named by their id only."""
        lines = list[str]()
        for member in signal.get("joined", ()):
            known = self._names.setdefault(member["id"], name_of(member))
            if member["id"] != self._room.you.get("id"):
                lines.append(f"[{known} is here]")
        lines.extend(f"[{self._names.pop(gone, 'somebody')} has left]" for gone in signal.get("left", ()))
        return lines

    def _apply(self, event: RoomEvent) -> None:
        self._scroll.apply(event)
        if event.type == "presence.updated" and self._interactive and not self._writer.speaking:
            for line in self._came_and_went(event.data):
                self._writer.line(line)
        self._written.set()
        self._written = anyio.Event()
