"""Tests of roomcast/__init__.py: the package as it is imported."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import roomcast
from tests.cli.program import environment

ROOT = Path(__file__).parents[1]


def test_both_names_are_resolved_on_their_first_use() -> None:
    from roomcast.client.room import connect
    from roomcast.wiring import house

    assert roomcast.connect is connect
    assert roomcast.serve is house


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        roomcast.conect  # noqa: B018  # the mistake is the point


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, roomcast; print(*(name for name in sys.modules if name.startswith('roomcast')))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(environment())
    )
    assert done.stdout == "roomcast\n"


def test_the_version_is_the_one_of_the_project() -> None:
    assert roomcast.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_map_names_every_folder_of_the_package() -> None:
    assert roomcast.__doc__ is not None
    folders = {path.parent.name for path in (ROOT / "server" / "roomcast").glob("*/__init__.py")}
    assert {name for name in folders if f"    {name}/ " not in roomcast.__doc__} == set()
