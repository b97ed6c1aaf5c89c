"""`roomcast config show`: the settings in force, and where each comes from."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from roomcast.cli.ending import complain
from roomcast.cli.options import ConfigFile, Data, Host, Port, Workers, settings_flags

__all__ = ["config"]

config = typer.Typer(help="Look at the settings.", no_args_is_help=True)


@config.callback()
def _group() -> None:  # pyright: ignore[reportUnusedFunction]  # typer calls it: verbs of `config` stay verbs
    pass


@config.command(
    epilog="For example:\n\nroomcast config show --config roomcast.toml\n\nroomcast config show --json | jq keys"
)
def show(
    file: ConfigFile = None,
    host: Host = None,
    port: Port = None,
    data: Data = None,
    workers: Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print every setting, its value and its source; secrets only as ***.

    Flags go before the environment (ROOMCAST_SECTION__KEY), that before the file, and that before the defaults.
    """
    from roomcast.config import ConfigError, effective, inspect

    try:
        loaded = inspect(flags=settings_flags(host, port, data, workers), environ=os.environ, file=file)
    except ConfigError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(2) from None
    shown = effective(loaded)
    if as_json:
        print(json.dumps(shown))
        return
    wide = max(map(len, shown))
    for path, entry in shown.items():
        source = "" if entry["source"] == "default" else f"   # {entry['source']}"
        print(f"{path:<{wide}} = {json.dumps(entry['value'], ensure_ascii=False)}{source}")
