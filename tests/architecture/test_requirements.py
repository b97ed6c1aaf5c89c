"""The locked requirements are what pyproject.toml and requirements/*.in ask for, with hashes and without addresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
LOCKED = ["run.txt", "dev.txt", "autobahn-env.txt", "autobahn.txt"]
PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;\\]+)(?P<rest>.*(?:\n[ ]{4}--hash=.*)*)", re.MULTILINE)


def wanted(*files: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for file in files:
        lines += [line for line in (REQUIREMENTS / file).read_text("utf-8").splitlines() if line[:1] not in {"", "#"}]
    return [Requirement(line) for line in lines]


def pins(file: str) -> dict[str, str]:
    return {m["name"]: m["version"] for m in PIN.finditer((REQUIREMENTS / file).read_text("utf-8"))}


@pytest.mark.parametrize(("locked", "sources"), [("run.txt", ["build.in"]), ("dev.txt", ["build.in", "dev.in"])])
def test_every_wish_is_pinned_within_its_range(locked: str, sources: list[str]) -> None:
    found = pins(locked)
    unmet = [
        str(wish)
        for wish in wanted(*sources)
        if not wish.specifier.contains(found.get(canonicalize_name(wish.name), "0"), prereleases=True)
    ]
    assert unmet == [], "run `make lock`"


def test_development_runs_the_versions_that_production_runs() -> None:
    assert pins("run.txt").items() <= pins("dev.txt").items()


@pytest.mark.parametrize("locked", LOCKED)
def test_every_pin_has_a_hash(locked: str) -> None:
    text = (REQUIREMENTS / locked).read_text("utf-8")
    assert [m["name"] for m in PIN.finditer(text) if "--hash=sha256:" not in m["rest"]] == []
    assert len(pins(locked)) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))


@pytest.mark.parametrize("locked", LOCKED)
def test_a_locked_file_names_no_address(locked: str) -> None:
    assert re.findall(r"\w+://\S+|^--?\w+-url.*", (REQUIREMENTS / locked).read_text("utf-8"), re.MULTILINE) == []
