"""Tests of roomcast/storage/sqlite/mark.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roomcast.storage.sqlite.errors import StoreUnusable
from roomcast.storage.sqlite.mark import mark_path, marked

SHOW_AND_WAIT = """
import sys
from pathlib import Path
from roomcast.storage.sqlite.mark import marked
with marked(Path(sys.argv[1])) as mark:
    mark.show(2**40 + 7)
    print("shown", flush=True)
    sys.stdin.read()
"""


def test_a_new_mark_says_that_none_was_there(tmp_path: Path) -> None:
    with marked(tmp_path / "roomcast.db") as mark:
        assert mark.found is None
    assert mark_path(tmp_path / "roomcast.db") == tmp_path / "roomcast.mark"


def test_a_number_is_found_again(tmp_path: Path) -> None:
    for number in (0, 7, 2**63):
        with marked(tmp_path / "db") as mark:
            mark.show(number)
        with marked(tmp_path / "db") as mark:
            assert mark.found == number


def test_a_number_survives_a_kill(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SHOW_AND_WAIT, str(tmp_path / "db")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        process.send_signal(signal.SIGKILL)
    with marked(tmp_path / "db") as mark:
        assert mark.found == 2**40 + 7


@pytest.mark.parametrize("size", [0, 3, 9])
def test_a_mark_of_another_size_counts_as_none(tmp_path: Path, size: int) -> None:
    mark_path(tmp_path / "db").write_bytes(b"\xff" * size)
    with marked(tmp_path / "db") as mark:
        assert mark.found is None
    assert mark_path(tmp_path / "db").stat().st_size == 8


def test_a_mark_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    mark_path(tmp_path / "db").mkdir()
    with pytest.raises(StoreUnusable, match=r"\.mark cannot be used: is a directory"), marked(tmp_path / "db"):
        pytest.fail("opened a folder")
