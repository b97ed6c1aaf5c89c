"""Files stay readable in one sitting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

LIMIT = 400
ROOT = Path(__file__).parents[2]
FOLDERS = ("server", "tests", "client_examples")
SUFFIXES = {".py", ".js", ".mjs", ".css", ".html"}
NOT_OURS = {"vendor", "__pycache__"}
"""Folders of code that others wrote (server/roomcast/web/vendor) or that is generated."""


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SUFFIXES and path.is_file() and NOT_OURS.isdisjoint(path.parts):
                yield path


def test_no_file_outgrows_its_reader() -> None:
    too_long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in sources()
        if (lines := len(path.read_text("utf-8").splitlines())) > LIMIT
    }
    assert too_long == {}


def test_the_sources_are_found_at_all() -> None:
    assert Path(__file__) in set(sources())
