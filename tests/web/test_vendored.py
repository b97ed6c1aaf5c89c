"""Tests of web/vendor: what others wrote is exactly what it says it is."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

VENDOR = Path(__file__).parents[2] / "server" / "roomcast" / "web" / "vendor"
FILES: list[dict[str, Any]] = json.loads((VENDOR / "VENDORED.json").read_text("utf-8"))["files"]


def named(entry: dict[str, Any]) -> str:
    return str(entry["file"])


@pytest.mark.parametrize("entry", FILES, ids=named)
def test_a_vendored_file_has_the_bytes_that_were_reviewed(entry: dict[str, Any]) -> None:
    assert sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("entry", FILES, ids=named)
def test_a_vendored_file_names_its_version_and_keeps_its_licence(entry: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    licence = (VENDOR / entry["licence_file"]).read_text("utf-8")
    words = {"MIT": "Permission is hereby granted", "Apache-2.0": "Apache License"}[entry["licence"]]
    assert words in licence


@pytest.mark.parametrize("entry", FILES, ids=named)
def test_a_change_to_a_vendored_file_is_written_down(entry: dict[str, Any]) -> None:
    assert bool(entry["changes"]) == (entry["sha256"] != entry["source_sha256"])


def test_every_vendored_file_is_listed() -> None:
    assert {file.name for file in VENDOR.glob("*.js")} == {entry["file"] for entry in FILES}


@pytest.mark.parametrize("entry", FILES, ids=named)
def test_a_vendored_module_imports_its_neighbours_only(entry: dict[str, Any]) -> None:
    """There is no build and no import map, so a bare name would not resolve."""
    source = (VENDOR / entry["file"]).read_text("utf-8")
    imported = re.findall(r'(?:^|[};\s])(?:import|export)[^"\';]*?from\s*"([^"]+)"', source)
    assert [name for name in imported if not (VENDOR / name).is_file()] == []
