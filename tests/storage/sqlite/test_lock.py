"""Tests of roomcast/storage/sqlite/lock.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roomcast.storage.sqlite.errors import StoreInUse, StoreUnusable
from roomcast.storage.sqlite.lock import locked

HOLD = """
import sys
from pathlib import Path
from roomcast.storage.sqlite.lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    mine = f"process {os.getpid()} is using it"
    with locked(tmp_path), pytest.raises(StoreInUse, match=mine) as raised, locked(tmp_path):
        pytest.fail("two have it")
    assert raised.value.path == tmp_path
    assert raised.value.holder == os.getpid()


def test_a_folder_can_be_locked_again_when_it_was_released(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_two_folders_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        pass


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreInUse, match=f"process {other.pid} "), locked(tmp_path):
            pytest.fail("two have it")
        other.kill()
        other.wait()
        with locked(tmp_path):
            pass


def test_a_lock_file_with_nonsense_in_it_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "roomcast.lock").write_text("not a number\n" * 3)
    with locked(tmp_path):
        assert (tmp_path / "roomcast.lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreUnusable, match="missing cannot be used: no such file or directory"),
        locked(tmp_path / "missing"),
    ):
        pytest.fail("locked what is not there")
