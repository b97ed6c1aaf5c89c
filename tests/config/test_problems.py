"""Tests of roomcast/config/problems.py."""

import pytest

from roomcast.config.problems import ConfigError, Problems, Unfit


def test_all_problems_are_raised_together_and_each_has_a_line() -> None:
    problems = Problems()
    problems.add("a", "wrong")
    problems.unfit("b", Unfit("a number", "x"), "flag")
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    assert caught.value.problems == ("a: wrong", "b = 'x' (flag): expected a number")
    assert str(caught.value) == "2 problems in the settings:\n  - a: wrong\n  - b = 'x' (flag): expected a number"


def test_nothing_is_raised_when_nothing_is_wrong() -> None:
    Problems().raise_if_any()


def test_a_key_without_usable_value_is_remembered() -> None:
    problems = Problems()
    problems.unfit("b", Unfit("a number"), "flag")
    assert problems.touch("a", "b")
    assert not problems.touch("a")


def test_a_long_value_is_cut_and_no_value_shows_nothing() -> None:
    assert len(Unfit("x", "y" * 1_000).shown) < 100
    assert Unfit("x").shown == ""
