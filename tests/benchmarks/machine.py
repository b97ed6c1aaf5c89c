"""What the machine has, and what it lacks, before anything is measured."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sqlite3
import time
from pathlib import Path

import psutil

__all__ = ["Unfit", "compiler", "cores", "describe", "pin", "require_open_files", "wait_until_quiet"]

SPARE_FILES = 256
QUIET_PERCENT, QUIET_FOR_S = 15.0, 0.5


class Unfit(Exception):
    """It cannot be measured here; the message says what to do."""


def compiler() -> str:
    """Path of a C compiler. Raises `Unfit` where there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return path
    raise Unfit(
        "the benchmarks need a C compiler, because Python could not play thousands of viewers fast enough.\n"
        "Install one (on Debian or Ubuntu: sudo apt-get install gcc libc6-dev), or name it: CC=/path/to/cc"
    )


def require_open_files(viewers: int) -> None:
    """Raise our soft limit, which servers inherit, to the hard one. Raises `Unfit` if that is too low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = viewers + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Unfit(
            f"{viewers} viewers need {needed} open files, and the limit here is {hard}.\n"
            f"Raise it (ulimit -Hn {needed} as root), or measure with fewer: --viewers {max(1, hard - SPARE_FILES)}"
        )


def cores() -> tuple[int, int]:
    """The core of the server and the core of the viewers; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


def pin(pid: int, core: int) -> None:
    """Keep a process, with the threads that it has and those that they start, on one core."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})


def wait_until_quiet(patience_s: float) -> None:
    """Wait until nobody else uses much of the machine, or for `patience_s`."""
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s and max(psutil.cpu_percent(QUIET_FOR_S, percpu=True)) > QUIET_PERCENT:
        pass


def describe() -> dict[str, str | int | float]:
    """The machine, for the report."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load_before": os.getloadavg()[0],
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
