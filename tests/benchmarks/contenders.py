"""What is measured: each a process of its own on the first core, with a model service to ask.

    roomcast     the whole server: real `openai` client, every event committed to SQLite before anybody sees it
    floor        C: one send() per viewer for all tokens that came in one read
    raw          uvloop: one transport.write per viewer and token
    broadcast    `websockets.broadcast()`, one call per token

The last three relay the same tokens in the same envelopes, and do nothing else.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.machine import pin, wait_until_quiet
from tests.benchmarks.tools import Run, Tools
from tests.support.server import roomcast_server

__all__ = ["PEERS", "Contender", "contender", "roomcast"]

PEERS = ("floor", "raw", "broadcast")
JOIN = '{{"type":"room.join","id":"join","room":"{room}"}}'
ASK = '{{"type":"message.create","id":"ask-%d-%d","room":"{room}","content":"go"}}'
ROOMS = itertools.count(1)
PYTHON_PEERS = Path(__file__).parent / "peers" / "python_peers.py"

SETTINGS = {
    "OPENAI_API_KEY": "none",
    "ROOMCAST_LOG__LEVEL": "warning",
    "ROOMCAST_SERVER__DRAIN_TIMEOUT_S": "0.1",
    # One answer lasts for a whole measurement; what it may hold then leaves less of a frame for history.
    "ROOMCAST_LIMITS__RUNNING_BYTES": str(960 * 1024),
    "ROOMCAST_LIMITS__SNAPSHOT_ITEMS_BYTES": str(64 * 1024),
    # All viewers come from one address, thousands of them again and again.
    "ROOMCAST_LIMITS__HANDSHAKES_PER_ADDRESS_BURST": "1000000",
}
SETTLED_FOR_S = 0.7
SETTLE_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A running server and the model service that it asks.

    A peer serves one run, roomcast any number: each is in a room of its own.
    """

    name: str
    port: int
    pid: int
    core: int
    model_fd: int
    tools: Tools

    def run(self, *options: str, viewers: int) -> Run:
        """Let `viewers` join, ask, stream and be measured; `options` are those of `crowd`."""
        wait_until_quiet(self.tools.patience_s)
        return self.tools.run(self.model_fd, *self.options(viewers, f"bench-{next(ROOMS)}"), *options)

    def options(self, viewers: int, room: str) -> list[str]:
        """Options that tell `crowd` where this server is and how to join and ask."""
        where = ["-p", str(self.port), "-k", str(self.pid), "-c", str(self.core), "-n", str(viewers), "-L", self.name]
        speaks = ["-j", JOIN.format(room=room), "-a", ASK.format(room=room)]
        # A peer asks once; ours asks again when an answer is as long as it may be.
        return [*where, *speaks] if self.name == "roomcast" else [*where, "-b", str(2**40)]


@contextmanager
def contender(name: str, tools: Tools, core: int, settings: Mapping[str, str] | None = None) -> Generator[Contender]:
    """Start `roomcast` or one of the peers; it is gone at the end."""
    with _listening() as model:
        if name == "roomcast":
            with roomcast(model, tools, core, settings or {}) as running:
                yield running
        else:
            with _peer(name, model, tools, core) as running:
                yield running


@contextmanager
def roomcast(model: socket.socket, tools: Tools, core: int, settings: Mapping[str, str]) -> Generator[Contender]:
    """Start roomcast with an empty store, and wait until it has loaded what it loads after it is ready."""
    environ = {**SETTINGS, "OPENAI_BASE_URL": f"http://127.0.0.1:{_port(model)}/v1", **settings}
    with (
        tempfile.TemporaryDirectory(prefix="roomcast-bench-") as folder,
        roomcast_server(Path(folder), environ=environ) as server,
    ):
        pin(server.pid, core)
        _settle(server.pid)
        yield Contender("roomcast", server.port, server.pid, core, model.fileno(), tools)


@contextmanager
def _peer(name: str, model: socket.socket, tools: Tools, core: int) -> Generator[Contender]:
    with _listening() as free:
        port = _port(free)
    program = [str(tools.floor)] if name == "floor" else [sys.executable, str(PYTHON_PEERS), name]
    process = subprocess.Popen([*program, str(port), str(_port(model))], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        pin(process.pid, core)
        if process.stdout.readline().strip() != b"ready":
            raise RuntimeError(f"{name} did not start")
        yield Contender(name, port, process.pid, core, model.fileno(), tools)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@contextmanager
def _listening() -> Generator[socket.socket]:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        listening.setblocking(False)
        yield listening


def _port(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def _settle(pid: int) -> None:
    """Wait until the memory of a process has not moved for a while."""
    deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
    pages, since_s = 0, time.monotonic()
    while time.monotonic() < min(deadline_s, since_s + SETTLED_FOR_S):
        now = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        if abs(now - pages) > 64:
            pages, since_s = now, time.monotonic()
        time.sleep(0.05)
