"""Tests of roomcast/cli/app.py: the program as it is started."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roomcast.cli.app import app, main
from tests.cli.program import environment, roomcast

pytestmark = pytest.mark.anyio

VERBS = ("serve", "chat", "watch", "send", "rooms", "backup", "restore", "config")


def helped(*verb: str) -> str:
    """The help of a verb, as one line of words."""
    shown = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    return " ".join(shown.output.split())


async def test_the_program_tells_its_version_which_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    done = await roomcast("--version")
    assert (done.stdout, done.stderr, done.returncode) == (f"roomcast {project['version']}\n", "", 0)


def test_the_help_names_every_verb_and_no_other() -> None:
    text = helped()
    assert all(f"│ {verb} " in text or f" {verb} " in text for verb in VERBS)
    assert not any(f"│ {later} " in text for later in ("bench", "export"))


@pytest.mark.parametrize(
    "verb", [("serve",), ("chat",), ("watch",), ("send",), ("rooms",), ("backup",), ("restore",), ("config", "show")]
)
def test_the_help_of_each_verb_teaches_by_example(verb: tuple[str, ...]) -> None:
    before, _, examples = helped(*verb).partition("For example:")
    assert before
    assert f"roomcast {' '.join(verb)}" in examples


@pytest.mark.parametrize("arguments", [[], ["--port", "no number"], ["--data", "x", "--port", "no number"]])
def test_without_a_verb_it_is_serve(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given = list[object]()

    def take(arguments: list[str], prog_name: str) -> None:
        given.extend([arguments, prog_name])

    monkeypatch.setattr("roomcast.cli.app.app", take)
    with pytest.raises(AssertionError, match="leaves by itself"):
        main(arguments)
    assert given == [["serve", *arguments], "roomcast"]


@pytest.mark.parametrize("arguments", [["brew"], ["chat"], ["watch", "lobby", "--no-such-flag"], ["send", "lobby"]])
def test_a_command_line_that_is_wrong_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rooms", "--url", "gopher://example"], "does not begin with"),
        (["chat", "no room"], "a room is named by"),
        (["watch", "lobby", "--url", "http://"], "names no host"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_before_anything_is_tried(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in done.output


def test_starting_imports_no_more_than_the_verb_needs() -> None:
    """`import roomcast.cli` must not pull in the server, the model's client or the sockets."""
    code = "import sys, roomcast.cli; print(*sys.modules)"
    unmeasured = {**environment(), "COVERAGE_PROCESS_CONFIG": ""}  # measuring imports much by itself
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unmeasured)
    heavy = {"openai", "websockets", "uvicorn", "starlette", "tiktoken", "sqlite3", "rich", "anyio", "roomcast.wiring"}
    assert heavy & set(done.stdout.split()) == set()
