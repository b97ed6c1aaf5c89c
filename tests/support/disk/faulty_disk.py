"""A server's disk and wall clock in the hands of a test, while the server runs.

    def test_…(faulty_disk: FaultyDisk, tmp_path: Path) -> None:
        with roomcast_server(tmp_path, environ=faulty_disk.environ) as server:
            faulty_disk.syncs.fail(EIO)          # every sync, until…
            faulty_disk.syncs.heal()
            faulty_disk.jump(hours=-24)

Only the database and its write-ahead log are concerned; the kernel itself never fails, so that what
SQLite was told is what the test decided. The C part (faulty_disk.c) is compiled once a session.
"""

from __future__ import annotations

import errno
import mmap
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

__all__ = ["FaultyDisk", "Site", "compiled", "faulty_disk_at"]

SOURCE: Final = Path(__file__).with_name("faulty_disk.c")
FIELDS: Final = 6
"""Numbers of one site: error, times, delay_us, begun, failed, passed."""


@dataclass(frozen=True)
class Site:
    """One kind of call: reads, writes or syncs."""

    _page: memoryview
    _at: int

    def fail(self, error: int = errno.EIO, *, times: int = -1) -> None:
        """Fail with `error`: so often, or from now on."""
        self._page[self._at] = error
        self._page[self._at + 1] = times

    def heal(self) -> None:
        """Fail no more."""
        self._page[self._at + 1] = 0

    def delay(self, delay_ms: int) -> None:
        """Take so long from now on, also what is under way."""
        self._page[self._at + 2] = delay_ms * 1000

    @property
    def begun(self) -> int:
        """Calls so far, counted as they begin."""
        return int(self._page[self._at + 3])

    def until_begun(self, number: int, timeout_s: float = 60) -> None:
        """Wait until so many have begun since the server started."""
        deadline = time.monotonic() + timeout_s
        while self.begun < number:
            assert time.monotonic() < deadline, f"{self.begun} of {number} calls in {timeout_s} s"
            time.sleep(0.01)

    @property
    def failed(self) -> int:
        """Those of them that failed."""
        return int(self._page[self._at + 4])

    @property
    def waiting(self) -> int:
        """Those that wait for their delay to be over, or were killed while they did."""
        return self.begun - int(self._page[self._at + 5])


class FaultyDisk:
    """The page that is shared with the server."""

    def __init__(self, page: memoryview, environ: dict[str, str]) -> None:
        self.environ = environ
        self.reads, self.writes, self.syncs = (Site(page, number * FIELDS) for number in range(3))
        self._page = page

    def jump(self, *, hours: float) -> None:
        """Set the wall clock so far ahead of the truth; below 0, behind it."""
        self._page[3 * FIELDS] = round(hours * 3_600)


def compiled(folder: Path) -> Path:
    """Compile the C part into `folder`; skip the test where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is installed (make compiler says how)")
    library = folder / "faulty_disk.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return library


@contextmanager
def faulty_disk_at(folder: Path, library: Path, *, files: str = "roomcast.db") -> Generator[FaultyDisk]:
    """A disk whose files with `files` in their path obey; the page is in `folder`."""
    path = folder / "faults"
    path.write_bytes(bytes(mmap.PAGESIZE))
    environ = {"LD_PRELOAD": str(library), "FAULTY_DISK": str(path), "FAULTY_DISK_FILES": files}
    with (
        path.open("r+b") as file,
        mmap.mmap(file.fileno(), mmap.PAGESIZE) as mapped,
        memoryview(mapped) as flat,
        flat.cast("q") as page,
    ):
        yield FaultyDisk(page, environ)
