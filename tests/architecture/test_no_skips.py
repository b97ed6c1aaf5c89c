"""With `--no-skips`, a test that did not run turns the whole run red."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DID_NOT_RUN = {
    "a skip by mark": "import pytest\n@pytest.mark.skip(reason='why')\ndef test_it() -> None: ...",
    "a skip by call": "import pytest\ndef test_it() -> None:\n    pytest.skip('why')",
    "a skip in a fixture": (
        "import pytest\n@pytest.fixture\ndef tool() -> None:\n    pytest.skip('why')\ndef test_it(tool) -> None: ..."
    ),
    "a module that skips itself": "import pytest\npytest.skip('why', allow_module_level=True)",
    "a module that is not there": "import pytest\npytest.importorskip('no_such_module', reason='why')",
    "an expected failure": "import pytest\n@pytest.mark.xfail(reason='why')\ndef test_it() -> None:\n    assert False",
}


def run(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(source, "utf-8")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "tests.support.no_skips",
            "-c",
            os.devnull,
            *options,
            "test_sample.py",
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("source", DID_NOT_RUN.values(), ids=DID_NOT_RUN.keys())
def test_what_did_not_run_fails_and_says_why(source: str, tmp_path: Path) -> None:
    done = run(tmp_path, source, "--no-skips")
    assert done.returncode != 0
    assert "did not run, and --no-skips is set" in done.stdout
    assert "why" in done.stdout


def test_without_the_option_a_skip_is_a_skip(tmp_path: Path) -> None:
    done = run(tmp_path, DID_NOT_RUN["a skip by mark"])
    assert (done.returncode, "1 skipped" in done.stdout) == (0, True)


def test_what_ran_is_left_alone_and_is_counted_on_the_last_line(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_it() -> None: ...", "--no-skips")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("1 passed in ")
