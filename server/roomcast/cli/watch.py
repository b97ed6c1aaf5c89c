"""`roomcast watch`: follow a room without a word."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from roomcast.cli.ending import complain, run_client
from roomcast.cli.options import Name, RoomName, Token, Url

__all__ = ["watch"]


def watch(
    room: RoomName,
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print every event as JSON, one a line.")] = False,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is queued or running.")] = False,
    items: Annotated[int, typer.Option(help="How many of the newest messages to begin with.", min=0, max=200)] = 20,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
) -> None:
    """Follow a room: its last messages, then everything as it happens.

    In a terminal the answers grow in place; in a pipe they are plain text. A lost connection is resumed without a gap.
    Ctrl-C ends it, with exit status 130.
    """

    async def run() -> int:
        from roomcast.cli.following import as_json_lines, as_lines
        from roomcast.client import Status, connect

        def tell(status: Status) -> None:
            if status is Status.RECONNECTING:
                complain("the connection is lost; trying again")

        async with connect(url, room, token=token, name=name, items=items, on_status=tell) as there:
            if as_json:
                await as_json_lines(there, sys.stdout, until_idle=until_idle)
            elif sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
                from roomcast.cli.live import follow_live

                await follow_live(there, until_idle=until_idle)
            else:
                await as_lines(there, sys.stdout, until_idle=until_idle)
        return 0

    run_client(run)
