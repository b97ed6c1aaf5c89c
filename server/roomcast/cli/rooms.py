"""`roomcast rooms`: which rooms there are."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roomcast.cli.ending import run_client
from roomcast.cli.options import Token, Url

if TYPE_CHECKING:
    from roomcast.core.events import JsonObject

__all__ = ["rooms"]

COLUMNS = ("room", "title", "here", "answering", "events")


def rooms(
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List the rooms of a server: a table in a terminal, tab-separated lines in a pipe."""

    async def run() -> int:
        from roomcast.client import list_rooms

        found = await list_rooms(url, token=token)
        if as_json:
            for room in found:
                print(json.dumps(room))
        elif sys.stdout.isatty():
            _print_table(found)
        else:
            for room in found:
                print("\t".join(_cells(room)))
        return 0

    run_client(run)


def _cells(room: JsonObject) -> tuple[str, ...]:
    from roomcast.cli.terminal import clean_line

    answering = "yes" if room.get("running") else "no"
    here, events = str(room.get("member_count", 0)), str(room.get("seq", 0))
    return clean_line(str(room["name"]), most=128), clean_line(str(room.get("title") or "")), here, answering, events


def _print_table(found: list[JsonObject]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for room in found:
        table.add_row(*map(Text, _cells(room)))
    Console().print(table if found else "No rooms yet. A room begins when somebody joins it: roomcast chat lobby")
