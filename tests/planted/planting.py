"""Copies of the source tree, faults put into them, and runs of tests on them.

Invariants
    P1  The checkout is never changed: only the copy is.
    P2  What runs is the copy, also in servers that tests start: it comes first on the path of imports,
        which they inherit.
    P3  A patch whose text is not there exactly once is an error, never a fault that was not planted.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

__all__ = ["CannotRun", "Copy", "DoesNotApply", "Fault", "Patch", "copied"]

ROOT = Path(__file__).parents[2]
COPIED = ("server", "tests", "config", "pyproject.toml", "README.md")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache", "node_modules")
TEST_TIMEOUT_S = 40
RUN_TIMEOUT_S = 600.0


class DoesNotApply(Exception):
    """The source has changed: a patch names text that is not there, or more than once."""


class CannotRun(Exception):
    """The tests did not run at all: one is not there, or cannot be imported."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement.

    Attributes:
        file: Below server/roomcast.
        old: Text that stands there exactly once.
        new: What stands there instead.
    """

    file: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Return the source with the fault in it. Raises `DoesNotApply`."""
        count = source.count(self.old)
        if count != 1:
            there = f"stands {count} times" if count else "does not stand"
            raise DoesNotApply(f"{there} in {self.file}: {self.old.strip()!r}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to be wrong.

    Attributes:
        name: What goes wrong, in a few words.
        patches: What brings it about.
        caught_by: Tests that must fail of it, as pytest names them; of a parametrised one, at least one case.
    """

    name: str
    patches: Sequence[Patch]
    caught_by: Sequence[str]


class Copy:
    """A copy of the tree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._times = itertools.count(2_000_000_000)

    @contextmanager
    def planted(self, fault: Fault) -> Generator[None]:
        """Put a fault into the copy, and take it out again. Raises `DoesNotApply`."""
        before: dict[Path, str] = {}
        try:
            for patch in fault.patches:
                path = self.root / "server" / "roomcast" / patch.file
                source = path.read_text("utf-8")
                before.setdefault(path, source)
                self._write(path, patch.apply(source))
            yield
        finally:
            for path, source in before.items():
                self._write(path, source)

    def _write(self, path: Path, source: str) -> None:
        """Write with a time that no earlier version had, or its compiled form could be taken for this one's."""
        path.write_text(source, "utf-8")
        time = next(self._times)
        os.utime(path, (time, time))

    def failing(self, tests: Sequence[str]) -> Mapping[str, bool]:
        """Run tests; for each one named, whether it, or one of its cases, failed.

        Raises:
            CannotRun: pytest found nothing to run, or did not get so far.
            TimeoutExpired: They did not end.
        """
        report = self.root / "report.xml"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", *dict.fromkeys(tests)]
        options = ["-p", "no:cacheprovider", f"--timeout={TEST_TIMEOUT_S}", "-o", "junit_family=xunit1"]
        ended = subprocess.run(
            [*command, *options, f"--junitxml={report}"],
            cwd=self.root,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        if ended.returncode not in (0, 1) or not report.exists():
            raise CannotRun(f"status {ended.returncode}: {(ended.stderr or ended.stdout).strip()[-2000:]}")
        outcomes = list(_outcomes(report))
        return {
            test: any(failed for name, failed in outcomes if name == test or name.startswith(f"{test}["))
            for test in tests
        }

    def imported_from(self) -> Path:
        """Where a program that is started here finds the package."""
        found = subprocess.run(
            [sys.executable, "-c", "import roomcast; print(roomcast.__file__)"],
            cwd=self.root.parent,
            env=self.environ(),
            capture_output=True,
            text=True,
            check=True,
        )
        return Path(found.stdout.strip())

    def environ(self) -> dict[str, str]:
        """The environment that tests and the servers they start run in."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COVERAGE_"))}
        return {**ours, "PYTHONPATH": os.pathsep.join([str(self.root / "server"), str(self.root)])}


def _outcomes(report: Path) -> Generator[tuple[str, bool]]:
    """Name and whether it failed, for each test of a report."""
    for case in ElementTree.parse(report).iter("testcase"):  # written by our own pytest
        failed = case.find("failure") is not None or case.find("error") is not None
        yield f"{case.get('file')}::{case.get('name')}", failed


@contextmanager
def copied() -> Generator[Copy]:
    """Copy the tree into a temporary folder, for the time of the context."""
    with TemporaryDirectory(prefix="planted-") as folder:
        root = Path(folder).resolve() / "roomcast"
        root.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, ignore=LEFT_OUT)
            else:
                shutil.copy2(ROOT / name, root / name)
        copy = Copy(root)
        assert copy.imported_from().is_relative_to(root), "another copy of the package would be tested"
        yield copy
