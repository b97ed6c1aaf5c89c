"""docs/operations.md names what the code logs and counts, and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomcast.observe import METRICS, NullObserver

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "operations.md").read_text()

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGER = re.compile(r"(.*\b_?log|.*get_logger\(\))$")


def calls() -> Iterator[tuple[str, ast.Call, ast.Attribute, str]]:
    """Every call of a method with a constant text first: where, the call, the method, the text."""
    for path in sorted((ROOT / "server" / "roomcast").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute() as method, args=[ast.Constant(value=str(text)), *_]):
                    yield f"{path.name}:{node.lineno}", node, method, text
                case _:
                    pass


def logged() -> dict[str, set[str]]:
    """The levels of each log event in the code. `log_lines_dropped` is written past structlog, at warning."""
    events = {"log_lines_dropped": {"warning"}}
    for _, _, method, text in calls():
        if method.attr in LEVELS and LOGGER.fullmatch(ast.unparse(method.value)):
            events.setdefault(text, set()).add({"exception": "error"}.get(method.attr, method.attr))
    return events


def table(heading: str) -> list[list[str]]:
    """The cells of the table below `heading`."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in row] for row in rows[2:]]


def test_every_log_event_is_in_the_table_with_its_level_and_no_other_is() -> None:
    assert {name: {level} for name, level, _ in table("Logs")} == logged()


def test_the_table_of_events_is_sorted_so_that_a_name_is_found() -> None:
    names = [row[0] for row in table("Logs")]
    assert names == sorted(names)


def test_events_are_named_noun_participle() -> None:
    assert [name for name in logged() if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


def test_every_metric_is_in_the_table_and_no_other_is() -> None:
    rows = [[metric.name, metric.kind, ", ".join(metric.labels), metric.help] for metric in METRICS]
    assert table("Metrics") == [[cell.replace("`", "") for cell in row] for row in rows]


RECORDED = [
    pytest.param(method.attr, text, [keyword.arg for keyword in call.keywords], id=f"{where} {text}")
    for where, call, method, text in calls()
    if method.attr in ("count", "gauge", "time") and text.startswith("roomcast_")
]


@pytest.mark.parametrize(("method", "name", "labels"), RECORDED)
def test_what_the_code_records_is_declared_with_this_kind_and_these_labels(
    method: str, name: str, labels: list[str]
) -> None:
    observer = NullObserver()
    match method:
        case "count":
            observer.count(name, 1, **dict.fromkeys(labels, "x"))
        case "gauge":
            observer.gauge(name, 1, **dict.fromkeys(labels, "x"))
        case _:
            observer.time(name, 1, **dict.fromkeys(labels, "x"))
