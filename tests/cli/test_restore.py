"""Tests of roomcast/cli/restore.py; test_backup.py has the way there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import roomcast

pytestmark = pytest.mark.anyio


async def test_a_file_that_is_no_backup_is_named(tmp_path: Path) -> None:
    done = await roomcast("restore", str(tmp_path / "nothing.db"), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert str(tmp_path / "nothing.db") in done.stderr
    assert not (tmp_path / "data").exists()
