"""The import rules in pyproject.toml refuse what they are there to refuse.

A skeleton of the house stands in for the package, so these tests do not depend on what is in it today.
All violations are planted in one skeleton and each must be named in the report: the tool is started twice, not
fifty times. `make check` applies the same rules to the real tree.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
CONTRACTS: dict[str, str] = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads(PYPROJECT.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
}

FOLDERS = (
    *("cli", "core", "dialects", "upstream", "generation", "room"),
    *("subscriber", "transport", "storage", "observe", "client"),
)
FILES = ("__init__", "__main__", "config", "wiring")

ALLOWED = {
    "__init__": "import roomcast.wiring, roomcast.client",
    "__main__": "import roomcast.cli",
    "cli/serve": "import roomcast.wiring, roomcast.config, roomcast.client.room, roomcast.core.errors",
    "wiring": "import roomcast.upstream.demo, roomcast.storage.sqlite, roomcast.observe, roomcast.config, "
    "roomcast.transport, roomcast.subscriber, roomcast.generation, roomcast.room, roomcast.core",
    "config": "import os, pathlib, tomllib, roomcast.core.errors",
    "core/errors": "import dataclasses, enum, msgspec, orjson",
    "dialects/sse": "import orjson, roomcast.core.errors",
    "upstream/demo": "import openai, tiktoken, anyio, structlog, roomcast.dialects, roomcast.core.errors",
    "generation/runner": "import anyio, structlog, roomcast.room, roomcast.dialects, roomcast.core",
    "room/hub": "import anyio, structlog, roomcast.dialects, roomcast.core.errors",
    "subscriber/pump": "import roomcast.room.hub, roomcast.core.errors",
    "transport/websocket": "import asyncio, websockets, starlette, roomcast.subscriber.pump, roomcast.generation, "
    "roomcast.room, roomcast.dialects",
    "storage/sqlite": "import sqlite3, threading, roomcast.core.errors",
    "observe/logging": "import structlog, prometheus_client, roomcast.core",
    "client/room": "import websockets.asyncio.client, roomcast.core.errors",
}
"""One innocent file a place, with imports that the design allows."""


@dataclass(frozen=True, slots=True)
class Plant:
    """An import that must not be (`where` is a folder or a file of the package), and the rule that refuses it."""

    contract: str
    where: str
    imported: str

    @property
    def module(self) -> str:
        """The offending module; each folder gets a file of its own for each violation."""
        if self.where in FILES:
            return f"roomcast.{self.where}"
        return f"roomcast.{self.where}.imports_{self.imported.replace('.', '_')}"

    def __str__(self) -> str:
        return f"{self.where} imports {self.imported}"


def plants(contract: str, *pairs: str) -> list[Plant]:
    """Read "where: imported imported …" lines."""
    return [
        Plant(contract, where, imported)
        for where, _, targets in (pair.partition(": ") for pair in pairs)
        for imported in targets.split()
    ]


PLANTS = [
    *plants(
        "layers",
        "core: roomcast.dialects roomcast.room roomcast.client",
        "dialects: roomcast.room roomcast.transport",
        "room: roomcast.subscriber roomcast.generation roomcast.storage roomcast.upstream roomcast.observe",
        "room: roomcast",  # the root names the whole house
        "subscriber: roomcast.generation roomcast.transport roomcast.observe roomcast.config",
        "generation: roomcast.subscriber roomcast.upstream roomcast.storage",
        "transport: roomcast.storage roomcast.upstream roomcast.observe roomcast.config",
        "transport: roomcast.wiring roomcast.client",
        "storage: roomcast.upstream roomcast.observe roomcast.transport",
        "upstream: roomcast.observe roomcast.config",
        "wiring: roomcast.cli",
    ),
    *plants(
        "adapters",
        "upstream: roomcast.generation roomcast.room",
        "storage: roomcast.room roomcast.subscriber",
        "observe: roomcast.subscriber",
    ),
    *plants(
        "edges",
        "config: roomcast.dialects roomcast.room roomcast.upstream",
        "client: roomcast.dialects roomcast.subscriber roomcast.transport",
    ),
    *plants(
        "cli",
        "cli: roomcast.transport.websocket roomcast.storage roomcast.dialects roomcast.upstream.demo roomcast.observe",
    ),
    *plants(
        "pure",
        "core: asyncio anyio socket ssl threading time random secrets os pathlib logging sqlite3 structlog",
        "core: websockets openai tiktoken starlette uvicorn",
        "dialects: asyncio time random os logging structlog starlette",
    ),
    *plants("openai", "generation: openai", "room: tiktoken", "wiring: openai", "transport: tiktoken"),
    *plants("websockets", "subscriber: websockets", "cli: websockets", "upstream: websockets"),
    *plants("databases", "room: sqlite3", "cli: sqlite3", "wiring: sqlite3"),
]


def write_house(folder: Path, extra: Mapping[str, list[str]]) -> None:
    """Write the skeleton, with the statements of `extra` added to its modules."""
    files = {name: [""] for name in FILES} | {f"{name}/__init__": [""] for name in FOLDERS}
    files |= {name: [source] for name, source in ALLOWED.items()}
    for module, statements in extra.items():
        name = module.removeprefix("roomcast.").replace(".", "/")
        files[name] = [*files.get(name, []), *statements]
    for name, statements in files.items():
        path = folder / "roomcast" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*statements, ""]), "utf-8")


def lint(folder: Path) -> tuple[int, str]:
    """Apply the real rules to the skeleton; return the exit status and the report."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", PYPROJECT, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "300"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def section(report: str, contract: str) -> str:
    """Cut out what one rule refused: from its underlined name to the next underlined line."""
    found = re.search(rf"^{re.escape(CONTRACTS[contract])}\n-+\n(.*?)(?=^[^\n]+\n---+$|\Z)", report, re.M | re.S)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the tool says of a house with every violation in it, and one module that belongs to no layer."""
    folder = tmp_path_factory.mktemp("violated")
    extra: dict[str, list[str]] = {"roomcast.helpers": ["X = 1"]}
    for plant in PLANTS:
        # Inside a function, as somebody would who wants to hide it.
        extra.setdefault(plant.module, []).append(f"def late_{len(extra)}() -> None:\n    import {plant.imported}")
    write_house(folder, extra)
    status, text = lint(folder)
    assert status == 1, text
    return text


def test_the_house_as_designed_is_accepted(tmp_path: Path) -> None:
    write_house(tmp_path, {})
    status, text = lint(tmp_path)
    assert status == 0, text


@pytest.mark.parametrize("plant", PLANTS, ids=str)
def test_a_planted_violation_is_refused(plant: Plant, report: str) -> None:
    refused = section(report, plant.contract)
    assert re.search(rf"- +{re.escape(plant.module)} -> {re.escape(plant.imported)} \(l\.", refused), refused


def test_a_module_in_no_layer_is_refused(report: str) -> None:
    assert "- roomcast.helpers" in section(report, "layers")


def test_every_rule_has_a_violation_planted() -> None:
    assert {plant.contract for plant in PLANTS} == set(CONTRACTS)
