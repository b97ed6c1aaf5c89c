"""Tests of the C programs that measure: they build, count what they got, and notice what is missing or comes twice.

What they say of roomcast is worth no more than what they say of servers that are known to be right or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.benchmarks import tools as building
from tests.benchmarks.contenders import contender
from tests.benchmarks.machine import Unfit, compiler, cores
from tests.benchmarks.tools import Run, Tools, build

VIEWERS = 3
LOAD = ("-r", "200", "-w", "0.1", "-d", "1", "-x", "0.1")
BEHIND = 0.2
"""What may be on its way when the window ends, of all: 200 ms of latency, which only a busy machine has."""
TRIES = 8
"""So often may a machine be so busy just then; who counts wrong does so each time."""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    try:
        path = compiler()
    except Unfit as unfit:
        pytest.skip(str(unfit).splitlines()[0])
    return build(path, tmp_path_factory.mktemp("tools"), cores()[1])


def seen(name: str, tools: Tools, *options: str) -> Run:
    """What `crowd` says of a small server."""
    with contender(name, tools, cores()[0]) as server:
        return server.run(*LOAD, *options, viewers=VIEWERS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["floor", "raw", "broadcast", "roomcast"])
def test_of_a_server_that_is_right_every_delivery_is_counted_once(tools: Tools, name: str) -> None:
    runs = list[Run]()
    while not runs or (behind(runs[-1]) and len(runs) < TRIES):
        runs.append(seen(name, tools))
        assert (runs[-1].label, runs[-1].viewers, runs[-1].joined, runs[-1].failed) == (name, VIEWERS, VIEWERS, 0)
        assert runs[-1].lossless, runs[-1]
        assert runs[-1].tokens > 0
        assert 0 < runs[-1].p50_ms <= runs[-1].p99_ms <= runs[-1].max_ms
    assert not behind(runs[-1]), runs


def behind(run: Run) -> bool:
    """Whether much more was on its way when the window ended than when it began, or the other way round."""
    return abs(run.deliveries - VIEWERS * run.tokens) >= BEHIND * VIEWERS * run.tokens


@pytest.mark.parametrize("name", ["losing", "repeating"])
def test_a_token_that_is_missing_or_comes_twice_is_noticed_at_every_viewer(tools: Tools, name: str) -> None:
    run = seen(name, tools, "-f", "2")  # what is missing is not waited for
    assert not run.lossless
    assert run.incomplete_viewers == VIEWERS
    assert not run.witness_text_equal


def test_an_answer_can_be_held_and_let_go(tools: Tools) -> None:
    with contender("raw", tools, cores()[0]) as server:
        options = server.options(VIEWERS, "held")
        with tools.holding(server.model_fd, *options, "-r", "500", "-N", "40", "-d", "0", "-x", "0.1") as held:
            assert (held.held, held.seq) == (40, 40)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """Sources that do not compile."""
    (tmp_path / "crowd").mkdir()
    (tmp_path / "crowd" / "main.c").write_text("int main(void) { return nothing; }\n")
    monkeypatch.setattr(building, "HERE", tmp_path)
    return ["main.c", "nothing"]


def test_what_does_not_compile_is_told_with_the_compilers_own_words(
    tools: Tools, tmp_path: Path, broken: Sequence[str]
) -> None:
    with pytest.raises(Unfit) as told:
        build(compiler(), tmp_path, 0)
    assert all(word in str(told.value) for word in ["could not build crowd", *broken])
