"""The command line: one file per verb.

    serve                       config ─► wiring
    chat  watch  send  rooms    client
    config show                 config

Each verb imports what it needs when it runs, so that `--help` and `send` start at once.
Exit status: 0 done, 1 it did not work (one line on standard error says why), 2 the command or
the settings are wrong, 130 interrupted from the keyboard.
"""

from roomcast.cli.app import main

__all__ = ["main"]
