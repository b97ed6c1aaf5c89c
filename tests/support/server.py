"""A real server in a process of its own, for tests from the outside.

    with roomcast_server(data=tmp_path) as server:
        server.url        # http://127.0.0.1:PORT
        server.kill()     # -9, as a crash would
        server.terminate()

Each test starts and stops its own, on a free port and in a folder of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from re import search

__all__ = ["ENDLESS", "Server", "roomcast_server", "starting_server"]

READY_TIMEOUT_S = 90.0
GONE_S = 60.0
"""Longest wait for a process to end: a machine that others keep busy is several times slower."""
LOG = "server.log"
ENDLESS = "!fault drip every_ms=20\ntell me a long story"
"""Asks the demo for an answer that goes on until it is cancelled: it runs as long as a test needs it, however slow the
machine is."""


class Server:
    """A running `roomcast serve`.

    Attributes:
        url: Its address, `http://127.0.0.1:PORT`.
        ready_line: The line on standard output that said so.
    """

    def __init__(self, process: subprocess.Popen[str], ready_line: str, log: Path) -> None:
        self.process = process
        self.ready_line = ready_line
        self.log = log
        found = search(r"http://[^\s]+", ready_line)
        assert found is not None, f"no address in: {ready_line}"
        self.url = found.group()

    @property
    def ws_url(self) -> str:
        """Address of the WebSocket."""
        return self.url.replace("http://", "ws://", 1) + "/v1/ws"

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def kill(self) -> None:
        """End it as a crash would; returns when it is gone."""
        self.process.kill()
        self.process.wait(GONE_S)

    def terminate(self) -> None:
        """Ask it to drain; returns at once."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end; returns the exit status."""
        return self.process.wait(timeout_s)

    def stop(self) -> int:
        """Make sure that it is gone; returns the exit status."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(GONE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(GONE_S)
        return self.process.returncode

    def logged(self) -> str:
        """What it wrote to standard error so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def roomcast_server(
    data: Path, *arguments: str, environ: Mapping[str, str] | None = None, port: int = 0
) -> Generator[Server]:
    """Start a server on `data` and stop it at the end.

    Args:
        data: Folder of its store.
        arguments: Further arguments of `roomcast serve`.
        environ: Settings, added to an environment without any of ours or OpenAI's.
        port: 0 lets the system choose.
    """
    with starting_server(data, *arguments, environ=environ, port=port) as process:
        log = data / LOG
        server = Server(process, _first_line(process, log), log)
        yield server
        server.stop()


@contextmanager
def starting_server(
    data: Path, *arguments: str, environ: Mapping[str, str] | None = None, port: int = 0
) -> Generator[subprocess.Popen[str]]:
    """Start a server and do not wait until it is ready; it is killed at the end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ROOMCAST_", "OPENAI_"))}
    fast = {
        "ROOMCAST_DEMO__FIRST_TOKEN_MS": "20",
        "ROOMCAST_DEMO__FAULTS": "true",
        "ROOMCAST_SERVER__DRAIN_TIMEOUT_S": "1",
    }
    data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "roomcast", "serve", "--port", str(port), "--data", str(data), *arguments]
    with (data / LOG).open("a") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**clean, **fast, **(environ or {})},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(GONE_S)
        if process.stdout is not None:
            process.stdout.close()


def _first_line(process: subprocess.Popen[str], log: Path) -> str:
    """The ready line; a server that ends or says nothing in time is an error with its log."""
    assert process.stdout is not None
    watchdog = threading.Timer(READY_TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
    finally:
        watchdog.cancel()
    if not line:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GONE_S)  # its output ends a moment before itself
    assert line, f"the server did not start (status {process.poll()}): {log.read_text(errors='replace')[-4000:]}"
    return line.strip()
