"""`roomcast serve`: the server, until a signal says stop."""

from __future__ import annotations

import os

import typer

from roomcast.cli.ending import INTERRUPTED, complain
from roomcast.cli.options import ConfigFile, Data, Host, Port, Workers, settings_flags

__all__ = ["serve"]


def serve(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    config: ConfigFile = None,
    workers: Workers = None,
) -> None:
    """Serve rooms on one port: the page, WebSockets, Server-Sent Events and HTTP.

    Without OPENAI_API_KEY and OPENAI_BASE_URL a simulated model answers, so it runs without a key and without a
    network. One line on standard output says when it is ready. SIGTERM or Ctrl-C ends it in good order; a second one
    ends it now.
    """
    from roomcast.config import ConfigError, load
    from roomcast.core.errors import ServerError

    try:
        settings = load(flags=settings_flags(host, port, data, workers), environ=os.environ, file=config)
    except ConfigError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(2) from None

    try:
        from roomcast import wiring

        raise typer.Exit(wiring.run(settings, announce=_announce))
    except ServerError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:  # while everything was still being imported
        raise typer.Exit(INTERRUPTED) from None


def _announce(line: str) -> None:
    print(line, flush=True)
