"""The list of planted faults fits the source and the tests as they are. `make planted` plants them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.planted.faults import FAULTS
from tests.planted.planting import ROOT, Copy, DoesNotApply, Fault, Patch

SOURCE = ROOT / "server" / "roomcast"
PATCHES = [pytest.param(patch, id=f"{fault.name}-{patch.file}") for fault in FAULTS for patch in fault.patches]


@pytest.mark.parametrize("patch", PATCHES)
def test_every_fault_can_still_be_planted_and_is_still_a_program(patch: Patch) -> None:
    source = (SOURCE / patch.file).read_text("utf-8")
    planted = patch.apply(source)
    assert ast.dump(ast.parse(planted)) != ast.dump(ast.parse(source)), "it changes nothing"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_names_tests_that_there_are(fault: Fault) -> None:
    assert fault.caught_by
    for test in fault.caught_by:
        file, _, function = test.partition("[")[0].partition("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in there, test


def test_no_fault_is_listed_twice() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 15


def test_a_patch_whose_text_is_gone_or_stands_twice_is_an_error_that_says_so() -> None:
    patch = Patch("core/log.py", "seq + 1", "seq")
    assert patch.apply("a = seq + 1") == "a = seq"
    with pytest.raises(DoesNotApply, match=r"does not stand in core/log\.py: 'seq \+ 1'"):
        patch.apply("a = seq")
    with pytest.raises(DoesNotApply, match="stands 2 times"):
        patch.apply("seq + 1 == seq + 1")


def test_a_fault_is_taken_out_again_also_where_its_second_patch_does_not_apply(tmp_path: Path) -> None:
    file = tmp_path / "server" / "roomcast" / "one.py"
    file.parent.mkdir(parents=True)
    file.write_text("a = 1\nb = 2\n")
    copy = Copy(tmp_path)
    with copy.planted(Fault("both", [Patch("one.py", "a = 1", "a = 3"), Patch("one.py", "b = 2", "b = 4")], ["x"])):
        assert file.read_text() == "a = 3\nb = 4\n"
        planted_at = file.stat().st_mtime
    assert file.read_text() == "a = 1\nb = 2\n"
    assert file.stat().st_mtime != planted_at, "or the compiled fault would be taken for it"
    broken = Fault("half", [Patch("one.py", "a = 1", "a = 3"), Patch("one.py", "c = 2", "")], ["x"])
    with pytest.raises(DoesNotApply), copy.planted(broken):
        pass
    assert file.read_text() == "a = 1\nb = 2\n"


def test_of_the_tests_that_ran_those_that_failed_are_told_by_name_or_by_any_case(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good() -> None: pass\n"
        "def test_bad() -> None: assert False\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_some(number: int) -> None: assert number == 1\n"
        "@pytest.fixture\n"
        "def broken() -> None: raise ValueError\n"
        "def test_error(broken: None) -> None: pass\n"
    )
    named = {"test_good": False, "test_bad": True, "test_some": True, "test_some[1]": False, "test_error": True}
    found = Copy(tmp_path).failing([f"test_it.py::{name}" for name in named])
    assert found == {f"test_it.py::{name}": failed for name, failed in named.items()}
