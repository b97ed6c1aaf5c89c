"""Every source file has its own test file, in the mirrored folder."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER, TESTS = ROOT / "server" / "roomcast", ROOT / "tests"

NO_BEHAVIOUR: frozenset[str] = frozenset({"storage/__init__.py"})
"""Declarations only, such as "core/ports.py". Adding a decision to one of these means removing it here."""

COVERED_ELSEWHERE: dict[str, str] = {
    "upstream/__init__.py": "upstream/test_adapter.py",
    "upstream/demo/__main__.py": "upstream/demo/test_main.py",
    "wiring/__init__.py": "e2e/test_main_job.py",
}
"""Source file → the file in tests/ that covers it, where mirroring would split one promise over several files."""


def expected_test(source: str) -> str:
    """Name the test file that belongs to a source file; both are relative to their roots."""
    path = Path(source)
    return COVERED_ELSEWHERE.get(source, path.with_name(f"test_{path.name}").as_posix())


def untested(sources: Iterable[str], tests: frozenset[str]) -> list[str]:
    """List the sources without a test file."""
    return sorted(
        f"{source}  (expected tests/{expected_test(source)})"
        for source in sources
        if source not in NO_BEHAVIOUR and expected_test(source) not in tests
    )


def decides_something(path: Path) -> bool:
    """Tell whether a file defines a function or a class; a map of names or a docstring alone needs no test."""
    tree = ast.parse(path.read_text("utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in ast.walk(tree))


def source_files() -> frozenset[str]:
    return frozenset(p.relative_to(SERVER).as_posix() for p in SERVER.rglob("*.py") if decides_something(p))


def own_tests() -> frozenset[str]:
    return frozenset(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py"))


def test_every_module_has_a_test_module_of_its_own() -> None:
    missing = untested(source_files(), own_tests())
    assert missing == []


def test_a_source_without_a_test_is_found() -> None:
    sources = ["core/log.py", "room/hub.py"]
    assert untested(sources, frozenset({"core/test_log.py"})) == ["room/hub.py  (expected tests/room/test_hub.py)"]


def test_the_tables_name_files_that_exist() -> None:
    gone = sorted((NO_BEHAVIOUR | COVERED_ELSEWHERE.keys()) - source_files())
    dangling = sorted(set(COVERED_ELSEWHERE.values()) - own_tests())
    assert (gone, dangling) == ([], [])
