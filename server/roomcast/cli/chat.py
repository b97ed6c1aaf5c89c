"""`roomcast chat`: speak in a room, and see what the others say."""

from __future__ import annotations

import sys

from roomcast.cli.ending import run_client
from roomcast.cli.options import Name, RoomName, Token, Url

__all__ = ["chat"]


def chat(
    room: RoomName,
    name: Name,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
) -> None:
    """Chat in a room, a line at a time. The model answers everybody in the room.

    /stop ends the answer that is being given, /who lists who is here, /quit leaves. In a pipe each line waits for the
    answer to the one before, and the end of the input for the last answer.
    """

    async def run() -> int:
        from roomcast.cli.following import writing_to
        from roomcast.cli.lines import typed_lines
        from roomcast.cli.talk import Talk
        from roomcast.client import Status, connect

        interactive = sys.stdin.isatty() and sys.stdout.isatty()
        writer = writing_to(sys.stdout, prompt="> " if interactive else "")

        def tell(status: Status) -> None:
            if status is Status.RECONNECTING:
                writer.line("[the connection is lost; trying again]")

        async with connect(url, room, token=token, name=name, items=20, on_status=tell) as there:
            await Talk(there, writer, interactive=interactive).run(typed_lines(sys.stdin.fileno()))
        return 0

    run_client(run)
