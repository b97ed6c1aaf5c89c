"""Tests of roomcast/config/checks.py."""

import pytest

from roomcast.config.checks import check
from roomcast.config.keys import KEYS
from roomcast.config.problems import ConfigError, Problems, Unfit

DEFAULTS = {key.path: key.default for keys in KEYS.values() for key in keys.values()}


def problems_with(changes: dict[str, object], problems: Problems | None = None) -> tuple[str, ...]:
    problems = problems or Problems()
    check(DEFAULTS | changes, problems)
    try:
        problems.raise_if_any()
    except ConfigError as error:
        return error.problems
    return ()


def test_the_defaults_hold_together() -> None:
    assert problems_with({}) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"limits.low_water_bytes": 64 * 1024},
        {"limits.outbox_bytes": 64 * 1024},
        {"limits.command_bytes": 2 * 1024 * 1024},
        {"limits.upstream_line_bytes": 1024},
        {"limits.frame_bytes": 128 * 1024, "limits.running_bytes": 1, "limits.snapshot_items_bytes": 1},
        {"limits.running_bytes": 1024 * 1024},
        {"limits.tail_bytes": 1024},
        {"server.workers": 2},
    ],
)
def test_a_size_that_does_not_fit_and_what_is_not_served_yet_are_named(changes: dict[str, object]) -> None:
    (problem,) = problems_with(changes)
    assert any(path in problem for path in changes), problem


def test_a_rule_is_not_tried_on_a_key_that_is_broken_already() -> None:
    problems = Problems()
    problems.unfit("limits.outbox_bytes", Unfit("a number"), "flag")
    assert len(problems_with({"limits.outbox_bytes": 1}, problems)) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "chat.example.com"])
def test_a_server_that_others_reach_must_not_be_open(host: str) -> None:
    (problem,) = problems_with({"server.host": host, "auth.mode": "off"})
    assert "listen on 127.0.0.1" in problem
    assert "[[auth.tokens]]" in problem


def test_asking_for_tokens_without_having_any_is_explained() -> None:
    (problem,) = problems_with({"auth.mode": "token"})
    assert "[[auth.tokens]]" in problem
