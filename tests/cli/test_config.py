"""Tests of roomcast/cli/config.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roomcast.cli.app import app


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)


def shown(*arguments: str, **environ: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["config", "show", *arguments], env=environ)
    return done.exit_code, done.stdout, done.stderr


def test_every_setting_is_shown_with_its_source(tmp_path: Path) -> None:
    path = tmp_path / "roomcast.toml"
    path.write_text("[server]\ndrain_timeout_s = 7\n")
    status, text, _ = shown("--config", str(path), "--port", "9000", ROOMCAST_ROOMS__ON_BUSY="reject")
    lines = {line.split(" ")[0]: " ".join(line.split()) for line in text.splitlines()}
    assert status == 0
    assert lines["server.port"] == "server.port = 9000 # flag"
    assert lines["server.drain_timeout_s"] == f"server.drain_timeout_s = 7.0 # file {path}"
    assert lines["rooms.on_busy"] == 'rooms.on_busy = "reject" # environment ROOMCAST_ROOMS__ON_BUSY'
    assert lines["server.host"] == 'server.host = "127.0.0.1"'


def test_secrets_are_not_shown() -> None:
    status, text, _ = shown(OPENAI_API_KEY="sk-very-secret")
    assert (status, "sk-very-secret" in text, "***" in text) == (0, False, True)


def test_programs_get_json() -> None:
    _, text, _ = shown("--json", "--port", "9000")
    assert json.loads(text)["server.port"] == {"value": 9000, "source": "flag"}


def test_every_problem_is_one_line_and_the_status_is_2(tmp_path: Path) -> None:
    path = tmp_path / "roomcast.toml"
    path.write_text("[server]\nporrt = 1\n[limits]\nno_such_limit = 2\n")
    status, text, problems = shown("--config", str(path))
    lines = problems.splitlines()
    assert (status, text, len(lines)) == (2, "", 2)
    assert all(line.startswith("roomcast: ") for line in lines)
    assert "server.porrt" in problems
    assert "limits.no_such_limit" in problems
