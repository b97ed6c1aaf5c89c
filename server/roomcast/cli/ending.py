"""How a verb ends: what went wrong in one line on standard error, and the exit status.

0 done · 1 it did not work · 2 the command or the settings are wrong · 130 interrupted
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

import typer

__all__ = ["INTERRUPTED", "complain", "run_client"]

INTERRUPTED = 130
PIPE_CLOSED = 141


def complain(text: str) -> None:
    """Write one line to standard error."""
    from roomcast.cli.terminal import clean

    sys.stderr.write(f"roomcast: {clean(text)}\n")
    sys.stderr.flush()


def run_client(verb: Callable[[], Awaitable[int]]) -> NoReturn:
    """Run an asynchronous verb of the client to its end, and leave with its exit status."""
    import anyio

    from roomcast.client import ClientError, Unreachable

    try:
        raise typer.Exit(anyio.run(verb))
    except Unreachable as error:
        complain(f"{error}\nIs it running? Start one with: roomcast serve; name another with --url.")
        raise typer.Exit(1) from None
    except ClientError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has gone. What Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(PIPE_CLOSED) from None
