"""Tests of roomcast/config/keys.py."""

import math

import pytest

from roomcast.config.keys import KEYS, Bound, Key, suggestion

ALL = [key for keys in KEYS.values() for key in keys.values()]


@pytest.mark.parametrize("key", ALL, ids=lambda key: key.path)
def test_every_number_has_a_bound_and_its_default_is_within(key: Key) -> None:
    is_number = key.hint in (int, float, float | None)
    assert is_number == (key.bound is not None)
    if key.bound is not None and key.default is not None:
        assert isinstance(key.default, int | float)
        assert key.bound.holds(key.default)


def test_timeouts_and_sizes_are_above_zero() -> None:
    for key in ALL:
        if key.section == "limits" or key.name.endswith("_timeout_s"):
            assert key.bound is not None
            assert key.bound.holds(0) == (key.path == "server.drain_timeout_s"), key.path


def test_secrets_are_exactly_the_key_and_the_tokens() -> None:
    assert [key.path for key in ALL if key.secret] == ["auth.tokens", "upstream.api_key"]


def test_a_bound_holds_its_ends_and_never_nan() -> None:
    assert Bound(0, 5).holds(0)
    assert not Bound(0, 5, above=True).holds(0)
    assert Bound(0, 5, above=True).holds(5)
    assert not Bound(0, 5).holds(math.nan)


def test_variables_are_named_after_section_and_key() -> None:
    assert KEYS["upstream"]["first_output_timeout_s"].variable == "ROOMCAST_UPSTREAM__FIRST_OUTPUT_TIMEOUT_S"


@pytest.mark.parametrize(
    ("section", "name", "hint"),
    [
        ("server", "prot", "did you mean server.port?"),
        ("server", "on_busy", "did you mean rooms.on_busy?"),
        ("sever", "port", "did you mean server.port?"),
        ("", "port", "did you mean server.port?"),
        ("auth", "zzzzzzzz", "[auth] has mode, tokens"),
        ("zzzzzzzz", "zzzzzzzz", "the sections are server, auth"),
    ],
)
def test_an_unknown_key_is_answered_with_what_may_have_been_meant(section: str, name: str, hint: str) -> None:
    assert hint in suggestion(section, name)
