"""The program: its verbs, its help, and what happens when no verb is named."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from roomcast.cli import backup, chat, config, restore, rooms, send, serve, watch

__all__ = ["main"]

app = typer.Typer(
    name="roomcast",
    help="One model stream, a whole room: every viewer reads the same log, and nobody waits for the slowest.",
    epilog="\n\n".join(
        [
            "Begin with:",
            "roomcast",
            "roomcast chat lobby --name Ada",
            "roomcast send lobby 'Why is the sky blue?' --wait",
        ]
    ),
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)

WITHOUT_VERB = frozenset({"-h", "--help", "--version"})


def _add(verb: Callable[..., None], *examples: str) -> None:
    """Make a function a verb: its docstring is the help, a paragraph a line, with examples below."""
    paragraphs = inspect.cleandoc(verb.__doc__ or "").split("\n\n")
    app.command(
        help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs),
        epilog="\n\n".join(["For example:", *examples]),
    )(verb)


_add(
    serve.serve,
    "roomcast serve --port 9000 --data /var/lib/roomcast",
    "OPENAI_API_KEY_FILE=key.txt roomcast serve",
    "OPENAI_BASE_URL=http://127.0.0.1:11434/v1 roomcast serve --config roomcast.toml",
)
_add(chat.chat, "roomcast chat lobby --name Ada", "printf 'Hello\\nAnd now in Greek\\n' | roomcast chat lobby")
_add(
    watch.watch,
    "roomcast watch lobby",
    "roomcast watch lobby --until-idle > transcript.txt",
    "roomcast watch lobby --json | jq -r 'select(.delta) | .delta'",
)
_add(
    send.send,
    "roomcast send lobby 'Why is the sky blue?'",
    "roomcast send lobby 'Why is the sky blue?' --wait > answer.txt",
    "git diff | roomcast send review - --wait",
)
_add(rooms.rooms, "roomcast rooms", "roomcast rooms --json | jq -r .name")
_add(backup.backup, "roomcast backup roomcast-2026-11-22.db", "roomcast backup --data /var/lib/roomcast copy.db")
_add(restore.restore, "roomcast restore roomcast-2026-11-22.db")
app.add_typer(config.config, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        from roomcast import __version__

        print(f"roomcast {__version__}")
        raise typer.Exit


@app.callback()
def _program(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options that stand before a verb."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit status.

    `roomcast` alone is `roomcast serve`, with or without flags.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in WITHOUT_VERB):
        given.insert(0, "serve")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ?, and nothing breaks
    app(given, prog_name="roomcast")
    raise AssertionError("the program leaves by itself")
