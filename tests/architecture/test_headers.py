"""Every source file says at its top what it is for."""

from __future__ import annotations

import ast
from pathlib import Path

SERVER = Path(__file__).parents[2] / "server" / "roomcast"


def header(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text("utf-8"), filename=str(path))) or ""


def test_every_source_file_has_a_header() -> None:
    silent = [path.relative_to(SERVER).as_posix() for path in sorted(SERVER.rglob("*.py")) if not header(path)]
    assert silent == []
