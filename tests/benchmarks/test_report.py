from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks.__main__ import main
from tests.benchmarks.machine import Unfit, compiler, require_open_files
from tests.benchmarks.report import Figure, Report, read_figures


def test_without_a_compiler_it_says_what_to_install_and_ends_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Unfit, match="C compiler"):
        compiler()
    assert main(["--quick"]) == 2
    assert "apt-get install gcc" in capsys.readouterr().out


def test_a_limit_on_open_files_that_is_too_low_is_named_before_anything_starts() -> None:
    with pytest.raises(Unfit, match="open files"):
        require_open_files(2**40)


def test_a_figure_meets_its_target_from_the_better_side() -> None:
    assert Figure("p50_ms", "p50", 2.9, "ms", target=3.0).met
    assert not Figure("p50_ms", "p50", 3.1, "ms", target=3.0).met
    assert Figure("per_s", "deltas", 3.1, "", target=3.0, better="higher").met
    assert Figure("p50_ms", "p50", 2.9, "ms").met is None


def test_what_was_measured_several_times_is_written_as_its_median(tmp_path: Path) -> None:
    report = Report(Console(quiet=True), {})
    for value in (1.0, 9.0, 2.0):
        report.add(Figure("p50_ms", "p50", value, "ms"))
    report.show()
    report.write(tmp_path / "found.json")
    assert read_figures(tmp_path / "found.json") == {"p50_ms": 2.0}
    assert read_figures(tmp_path / "missing.json") == {}
