"""Disks for tests that can be filled and emptied.

Root mounts a real one of a few megabytes. Without that right, the kernel's limit on the size of
files stands in: writes fail in the same place, with another error.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from roomcast.core.errors import StorageError, StorageFull, StorageUnavailable


class MountedDisk:
    """A file system of its own."""

    refusal: type[StorageError] = StorageFull

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file, suppress(OSError):  # until it is full
            while file.write(bytes(4_096)):
                pass

    def empty(self) -> None:
        self._ballast.unlink()


class LimitedFiles:
    """Files that may not grow."""

    refusal: type[StorageError] = StorageUnavailable

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        largest = max(path.stat().st_size for path in self.folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, self._limits[1]))

    def empty(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


@contextmanager
def small_disk(folder: Path, size: str = "2m") -> Generator[MountedDisk | LimitedFiles]:
    """The most real disk that this machine lets us have in `folder`."""
    if _mount(folder, size):
        try:
            yield MountedDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    else:
        disk = LimitedFiles(folder)
        try:
            yield disk
        finally:
            disk.empty()


def _mount(folder: Path, size: str) -> bool:
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def limited_files(folder: Path) -> Generator[LimitedFiles]:
    """The stand-in, also where a real disk is to be had: its error is another one."""
    disk = LimitedFiles(folder)
    try:
        yield disk
    finally:
        disk.empty()
