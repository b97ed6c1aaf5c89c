"""Building and running `crowd` and `floor`, the two C programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.benchmarks.machine import Unfit

__all__ = ["Held", "Run", "Tools", "build"]

HERE = Path(__file__).parent
FLAGS = ("-O2", "-Wall", "-Wextra")
TIMEOUT_S = 120.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What `crowd` reports of one run; see crowd/main.c.

    Attributes:
        tokens_per_frame: Above 1, deltas were merged before their commit.
        tokens_per_read: Above that, frames were joined in one write.
        cpu_us_per_delivery: Of the server, all threads, kernel included.
        server_cpu_percent: Of a core. `server_core_percent` less it is what others took of that core.
        incomplete_viewers: Those whose tokens, added up, are not what was sent.
        holes: Times that a viewer's `seq` did not follow on.
    """

    label: str
    viewers: int
    joined: int
    failed: int
    lost_connections: int
    joined_s: float
    seconds: float
    tokens: int
    tokens_per_s: float
    answers: int
    deliveries: int
    deliveries_per_s: float
    frames: int
    wire_bytes: int
    tokens_per_frame: float
    tokens_per_read: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    cpu_us_per_delivery: float
    user_us_per_delivery: float
    cpu_us_per_token: float
    server_cpu_percent: float
    server_core_percent: float
    own_core_percent: float
    rss_start_kb: int
    rss_idle_kb: int
    rss_begin_kb: int
    rss_end_kb: int
    stalled: int
    stalled_ended: int
    stalled_ended_s: float
    holes: int
    resets: int
    incomplete_viewers: int
    witness_text_equal: bool

    @property
    def foreign_percent(self) -> float:
        """How much of the server's core others used meanwhile."""
        return max(0.0, self.server_core_percent - self.server_cpu_percent)

    @property
    def lossless(self) -> bool:
        """Whether every viewer that read got every token once and in order, and kept its connection."""
        return self.holes == self.incomplete_viewers == self.lost_connections == 0 and (
            self.witness_text_equal or self.tokens == 0
        )


class Held(msgspec.Struct, frozen=True):
    """An answer that goes on no further until it is let go.

    Attributes:
        held: Tokens that were sent.
        seq: Number of the newest event that the viewers got.
    """

    held: int
    seq: int


@dataclass(frozen=True, slots=True)
class Tools:
    """The built programs.

    Attributes:
        core: Where `crowd` runs.
        patience_s: How long to wait for a quiet machine before each run.
    """

    crowd: Path
    floor: Path
    core: int
    patience_s: float = 0.0

    def run(self, model_fd: int, *options: str) -> Run:
        """Run `crowd` to its end."""
        ended = subprocess.run(
            self._command(model_fd, options), pass_fds=[model_fd], capture_output=True, timeout=TIMEOUT_S, check=False
        )
        if ended.returncode:
            raise RuntimeError(ended.stderr.decode(errors="replace").strip() or f"crowd: status {ended.returncode}")
        return msgspec.json.decode(ended.stdout.splitlines()[-1], type=Run)

    @contextmanager
    def holding(self, model_fd: int, *options: str) -> Generator[Held]:
        """Run `crowd` up to the point where it holds its answer (`-N`), and let it go at the end."""
        process = subprocess.Popen(
            self._command(model_fd, options), pass_fds=[model_fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"crowd: status {process.wait(10)}")
            yield msgspec.json.decode(line, type=Held)
            process.stdin.close()
            ended = msgspec.json.decode(process.stdout.readline(), type=Run)
            assert ended.lossless, ended
            process.wait(TIMEOUT_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)
            process.stdout.close()

    def _command(self, model_fd: int, options: Sequence[str]) -> list[str]:
        pinned = ["taskset", "-c", str(self.core)] if len(os.sched_getaffinity(0)) > 1 else []
        return [*pinned, str(self.crowd), "-m", str(model_fd), "-g", str(self.core), *options]


def build(compiler: str, folder: Path, core: int, *, patience_s: float = 0.0) -> Tools:
    """Compile both programs into `folder`; takes a second."""
    tools = Tools(folder / "crowd", folder / "floor", core, patience_s)
    _compile(compiler, tools.crowd, sorted((HERE / "crowd").glob("*.c")))
    _compile(compiler, tools.floor, [HERE / "peers" / "floor.c"])
    return tools


def _compile(compiler: str, target: Path, sources: Sequence[Path]) -> None:
    command = [compiler, *FLAGS, "-o", str(target), *map(str, sources)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Unfit(f"{compiler} could not build {target.name}:\n{ended.stderr.strip()}")
