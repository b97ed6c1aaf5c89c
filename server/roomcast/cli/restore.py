"""`roomcast restore`: a backup in the place of the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from roomcast.cli.ending import complain
from roomcast.cli.options import ConfigFile, Data, settings_flags

__all__ = ["restore"]


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", metavar="FILE", show_default=False)],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Put a backup in the place of the store, while no server runs on it.

    What was there is kept beside it. All viewers start from a snapshot when they come back.
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
        kept = wiring.restore_store(settings, file)
    except ServerError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    print(f"restored from {file}" + (f"; what was there is in {kept}" if kept else ""))
