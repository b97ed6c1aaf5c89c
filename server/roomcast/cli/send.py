"""`roomcast send`: say one thing, and perhaps wait for the answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roomcast.cli.ending import complain, run_client
from roomcast.cli.options import Name, RoomName, Token, Url

if TYPE_CHECKING:
    from roomcast.client import Room

__all__ = ["send"]


def send(
    room: RoomName,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What to say; - reads it from standard input.", show_default=False)
    ],
    name: Name,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer and print it.")] = False,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
) -> None:
    """Say something in a room.

    Prints the id of the answer to come. With --wait it prints the answer's text instead, and the exit status is 0 only
    if the model completed it; otherwise standard error says why it did not.
    """
    said = sys.stdin.read() if text == "-" else text

    async def run() -> int:
        from roomcast.client import connect

        async with connect(url, room, token=token, name=name, items=0) as there:
            asked = await there.ask(said, respond="always" if wait else "auto")
            if not wait or asked.response_id is None:
                print(asked.response_id or asked.item_id)
                return 0
            return await _print_answer(there, asked.response_id)

    run_client(run)


async def _print_answer(room: Room, response_id: str) -> int:
    """Print the text as it comes when somebody watches, else once it is final."""
    from roomcast.cli.scroll import ending
    from roomcast.cli.terminal import clean

    shown = ""
    if sys.stdout.isatty():
        async for piece in room.text(response_id):
            print(clean(piece), end="", flush=True)
            shown += piece
    answer = await room.answer(response_id)
    text = answer.text or answer.refusal
    if shown != text:
        # Nothing was shown yet, or the model started over and what was shown does not count.
        print(f"\n\n{clean(text)}" if shown else clean(text), end="")
    print()
    if answer.status == "completed" and answer.verified is not False:
        return 0
    complain((ending(answer) or "").strip("[]"))
    return 1
