"""Tests of roomcast/config/values.py."""

from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.config.keys import KEYS, Key
from roomcast.config.problems import Unfit
from roomcast.config.values import decode
from roomcast.core.settings import Secret


def value(path: str, raw: object, *, lenient: bool = True) -> object:
    section, _, name = path.partition(".")
    return decode(KEYS[section][name], raw, lenient=lenient)


@pytest.mark.parametrize(
    ("path", "raw", "expected"),
    [
        ("server.port", " 9000 ", 9000),
        ("server.port", 0, 0),
        ("upstream.idle_timeout_s", "5", 5.0),
        ("rooms.orphan_grace_s", "2.5", 2.5),
        ("rooms.create", "FALSE", False),
        ("rooms.create", "1", True),
        ("rooms.on_busy", "reject", "reject"),
        ("upstream.model", "gpt", "gpt"),
        ("server.allowed_origins", "https://a.com, https://b.com:443,", ("https://a.com", "https://b.com")),
        ("server.allowed_origins", '["https://a.com", "https://a.com"]', ("https://a.com",)),
        ("server.allowed_origins", "", ()),
    ],
)
def test_a_text_stands_for_the_type_of_its_key(path: str, raw: object, expected: object) -> None:
    assert value(path, raw) == expected


@pytest.mark.parametrize(
    ("path", "raw", "expected"),
    [
        ("server.port", "9000", "a whole number from 0 to 65,535"),
        ("server.port", 9000.5, "a whole number from 0 to 65,535"),
        ("server.port", True, "a whole number from 0 to 65,535"),
        ("upstream.idle_timeout_s", "5", "a number above 0"),
        ("rooms.create", 1, "true or false"),
        ("upstream.model", 5, "a text"),
        ("server.allowed_origins", "https://a.com", "a list of texts"),
        ("server.allowed_origins", [1], "a list of texts"),
        ("upstream.api", "chat", "one of responses, chat_completions"),
    ],
)
def test_a_file_has_types_of_its_own(path: str, raw: object, expected: str) -> None:
    with pytest.raises(Unfit) as caught:
        value(path, raw, lenient=False)
    assert caught.value.expected.startswith(expected)
    assert caught.value.shown == repr(raw)


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        *(("server.port", raw) for raw in ("-1", "65536", "1.5", "x", "0x10", "nan")),
        *(("upstream.total_timeout_s", raw) for raw in ("0", "-1", "nan", "inf", "1e99", "5s")),
        *(("limits.outbox_bytes", raw) for raw in ("0", "-5", "1.5", "64KiB", "2147483648")),
        ("limits.frame_bytes", "1048577"),
        ("rooms.create", "maybe"),
        ("demo.jitter", "1.5"),
        ("server.allowed_origins", '["https://a.com"'),
        ("storage.data", "   "),
        ("storage.data", "a\0b"),
        ("storage.data", "\udcff"),
        ("upstream.organization", "org\nX-Injected: 1"),
    ],
)
def test_what_is_out_of_range_or_no_value_at_all_is_refused(path: str, raw: str) -> None:
    with pytest.raises(Unfit):
        value(path, raw)


def test_zero_means_at_once_where_waiting_may_be_left_out() -> None:
    assert (value("server.drain_timeout_s", "0"), value("rooms.orphan_grace_s", "0")) == (0.0, 0.0)


def test_a_secret_is_wrapped() -> None:
    assert value("upstream.api_key", "sk-abc") == Secret("sk-abc")


@pytest.mark.parametrize("raw", ["", "sk abc", "sk-abc\n", "sk-äbc", 5, None])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_repeated(raw: object) -> None:
    with pytest.raises(Unfit) as caught:
        value("upstream.api_key", raw)
    assert caught.value.shown == ""
    assert "abc" not in caught.value.expected


@given(st.text(), st.sampled_from([key for keys in KEYS.values() for key in keys.values() if key.name != "tokens"]))
def test_any_text_gives_a_value_or_one_kind_of_refusal(raw: str, key: Key) -> None:
    with suppress(Unfit):
        decode(key, raw, lenient=True)
