"""The program as a person starts it: its own process, its output and its exit status."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

SERVER = Path(__file__).parents[2] / "server"


def environment(**more: str) -> Mapping[str, str]:
    """What the process sees: nothing of ours, so that no setting of this machine decides a test."""
    inherited = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
    kept = {name: os.environ[name] for name in inherited if name in os.environ}
    return {**kept, "PYTHONPATH": str(SERVER), "PYTHONWARNINGS": "error", **more}


async def roomcast(*arguments: str, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with `said` on its standard input."""
    with anyio.fail_after(90):
        done = await anyio.run_process(
            [sys.executable, "-m", "roomcast", *arguments], input=said.encode(), check=False, env=environment(**more)
        )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """A process that runs, and what it has printed so far."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.printed = ""
        assert process.stdout is not None
        self._output = TextReceiveStream(process.stdout)

    async def until(self, text: str) -> str:
        """Wait until `text` has been printed, and give all of it."""
        with anyio.fail_after(90):
            while text not in self.printed:
                self.printed += await self._output.receive()
        return self.printed

    async def type(self, text: str) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send(text.encode())

    async def stop(self, with_signal: signal.Signals) -> int:
        """Send a signal and give the exit status."""
        self._process.send_signal(with_signal)
        return await self.status()

    async def status(self) -> int:
        with anyio.fail_after(90):
            return await self._process.wait()


@asynccontextmanager
async def running(*arguments: str, folder: Path | None = None, **more: str) -> AsyncGenerator[Running]:
    """Start it, and let it not outlive the test."""
    command = [sys.executable, "-m", "roomcast", *arguments]
    async with await anyio.open_process(command, env=environment(**more), cwd=folder, stderr=None) as process:
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.kill()


class Terminal:
    """A process that believes that a person sits in front of it."""

    def __init__(self, process: Process, descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self.shown = ""

    async def until(self, text: str) -> str:
        """Wait until `text` is on the screen, and give everything that was written to it."""
        with anyio.fail_after(90):
            while text not in self.shown:
                await anyio.wait_readable(self._descriptor)
                self.shown += os.read(self._descriptor, 65_536).decode(errors="replace")
        return self.shown

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    async def stop(self, with_signal: signal.Signals) -> int:
        """Send a signal, as a key would, and give the exit status."""
        self._process.send_signal(with_signal)
        return await self.status()

    async def status(self) -> int:
        with anyio.fail_after(90):
            return await self._process.wait()


@asynccontextmanager
async def in_terminal(*arguments: str) -> AsyncGenerator[Terminal]:
    """Start it in a terminal of its own."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "roomcast", *arguments]
    seen = environment(TERM="xterm-256color")
    process = await anyio.open_process(command, stdin=its, stdout=its, stderr=its, env=seen, start_new_session=True)
    os.close(its)
    try:
        async with process:
            try:
                yield Terminal(process, ours)
            finally:
                if process.returncode is None:
                    process.kill()
    finally:
        os.close(ours)
