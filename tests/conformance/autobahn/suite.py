"""The suite itself: it runs on Python 2.7 only, so it gets an environment of its own, once.

Invariants
    A1  Nothing is installed into an interpreter: what is needed lies in `.autobahn`, which git ignores.
    A2  Every package has the version and the hash of requirements/autobahn*.txt.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

__all__ = ["CASES", "Unfit", "installed", "python27", "run"]

ROOT = Path(__file__).parents[3]
HOME = ROOT / ".autobahn"
TOOLS, SUITE = ROOT / "requirements" / "autobahn-env.txt", ROOT / "requirements" / "autobahn.txt"
INSTALL_TIMEOUT_S = 600.0
RUN_TIMEOUT_S = 300.0

CASES: Mapping[str, list[str]] = {"cases": ["*"], "exclude-cases": ["9.*", "12.*", "13.*"]}
"""The fast profile: without large messages, which we refuse, and compression, which we do not offer."""


class Unfit(Exception):
    """The suite cannot be run here; says why and what to do."""


def python27(environ: Mapping[str, str]) -> str:
    """Find an interpreter of Python 2.7 that has pip. Raises `Unfit`.

    `PYTHON27` names it; else it is `python2.7` on the path. Asking it to run is what tells an interpreter
    from a launcher for a version that is not installed.
    """
    named = environ.get("PYTHON27")
    found = named or shutil.which("python2.7", path=environ.get("PATH", ""))
    if not found:
        raise Unfit("there is no python2.7 on the path. Install one, or name it: make conformance PYTHON27=/path/to/it")
    ask = "import sys, pip; sys.stdout.write('%d.%d' % sys.version_info[:2])"
    try:
        asked = subprocess.run([found, "-c", ask], env=dict(environ), capture_output=True, text=True, check=False)
    except OSError as error:
        raise Unfit(f"{found} cannot be run: {error.strerror}") from None
    if asked.stdout != "2.7":
        said = asked.stderr.strip().splitlines() or [f"it says it is {asked.stdout}"]
        raise Unfit(f"{found} is no Python 2.7 with pip: {said[-1 if said[0].startswith('Traceback') else 0]}")
    return found


def installed(environ: Mapping[str, str]) -> Path:
    """Install the suite if it is not there yet, or not as locked; returns the program. Raises `Unfit`."""
    program, stamp = HOME / "env" / "bin" / "wstest", HOME / "installed"
    wanted = sha256(TOOLS.read_bytes() + SUITE.read_bytes()).hexdigest()
    if program.exists() and stamp.exists() and stamp.read_text() == wanted:
        return program
    interpreter = python27(environ)
    print("installing the Autobahn test suite into .autobahn (once; a minute)", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    tools, env = HOME / "tools", HOME / "env"
    pip = ["-m", "pip", "--quiet", "install", "--require-hashes"]
    _install([interpreter, *pip, "--target", str(tools), "-r", str(TOOLS)], environ)
    _install([interpreter, "-m", "virtualenv", "--quiet", "--no-download", str(env)], environ, PYTHONPATH=str(tools))
    _install([str(env / "bin" / "python"), *pip, "-r", str(SUITE)], environ)
    stamp.write_text(wanted)
    return program


def _install(command: list[str], environ: Mapping[str, str], **more: str) -> None:
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(
        command,
        env={**environ, **quiet, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if ended.returncode:
        raise Unfit(
            "the Autobahn test suite could not be installed; it needs the network, a C compiler and the headers of "
            f"Python 2.7:\n{(ended.stderr or ended.stdout).strip()[-2000:]}"
        )


def run(program: Path, url: str, folder: Path) -> dict[str, Any]:
    """Run the fast profile against the echo at `url`; returns the suite's own index of results."""
    reports = folder / "reports"
    spec: dict[str, Any] = {"outdir": str(reports), "servers": [{"agent": "roomcast", "url": url}], **CASES}
    (folder / "spec.json").write_text(json.dumps({**spec, "exclude-agent-cases": {}}))
    ended = subprocess.run(
        [str(program), "-m", "fuzzingclient", "-s", str(folder / "spec.json")],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    index = reports / "index.json"
    if not index.exists():
        raise Unfit(f"the suite ended without a report (status {ended.returncode}):\n{ended.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(index.read_text())["roomcast"]
    return found
