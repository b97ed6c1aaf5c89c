"""docs/guarantees.md makes no promise without a test, and names no test that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
PROOF = re.compile(r"^- `(tests/[\w/]+\.py)::(\w+)`$")


def promises(document: str) -> dict[str, list[tuple[str, str]]]:
    """The promises by title, each with the file and the name of every test that proves it."""
    found: dict[str, list[tuple[str, str]]] = {}
    title = ""
    for line in document.partition("\n# What it does not promise")[0].splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
            found[title] = []
        elif line.startswith("- "):
            proof = PROOF.match(line)
            assert proof, f"not a test: {line}"
            found[title].append((proof[1], proof[2]))
    return found


def names_of_tests(source: str) -> set[str]:
    """Names of the test functions of a module, and of the test cases that its state machines make."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return {name for name in names if name.lower().startswith("test")}


def unproven(document: str) -> list[str]:
    """Promises without a test."""
    return [title for title, proofs in promises(document).items() if not proofs]


def test_every_promise_has_a_test() -> None:
    assert unproven(DOCUMENT) == []
    assert len(promises(DOCUMENT)) >= 24, "a promise is taken back on purpose, not by mistake"


@pytest.mark.parametrize(
    ("path", "name"), sorted({proof for proofs in promises(DOCUMENT).values() for proof in proofs})
)
def test_every_test_that_is_named_is_there(path: str, name: str) -> None:
    file = ROOT / path
    assert file.is_file(), f"there is no {path}"
    assert name in names_of_tests(file.read_text("utf-8")), f"{path} has no {name}"


def test_no_promise_names_a_test_twice() -> None:
    for title, proofs in promises(DOCUMENT).items():
        assert len(proofs) == len(set(proofs)), title


def test_a_promise_without_a_test_is_found() -> None:
    document = "# Promises\n\n## Kept\n\nWords.\n\n- `tests/a/test_b.py::test_c`\n\n## Bare\n\nMore words.\n"
    assert unproven(document) == ["Bare"]


def test_a_proof_that_names_no_test_is_no_proof() -> None:
    with pytest.raises(AssertionError, match="not a test: - trust us"):
        promises("## Bold\n\n- trust us\n")


def test_what_looks_like_a_test_and_is_none_does_not_count() -> None:
    source = "def helper():\n    def test_inner(): ...\n\nasync def test_one(): ...\n\nTestMachine = Machine.TestCase\n"
    assert names_of_tests(source) == {"test_one", "TestMachine"}
