"""`roomcast backup`: a copy of the store, while a server runs or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from roomcast.cli.ending import complain
from roomcast.cli.options import ConfigFile, Data, settings_flags

__all__ = ["backup"]


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE", show_default=False)],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Copy the store to a file, also while a server runs on it.

    The copy is the state after one commit. Nothing is overwritten, and the server goes on meanwhile.
    """
    from roomcast.config import ConfigError, load
    from roomcast.core.errors import ServerError

    try:
        settings = load(flags=settings_flags(None, None, data, None), environ=os.environ, file=config)
    except ConfigError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(2) from None

    from roomcast import wiring

    try:
        wiring.back_up_store(settings, file)
    except ServerError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    print(f"backed up to {file}")
