"""Tests of roomcast/config/addresses.py."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.config.addresses import base_url, host, is_loopback, network, origin, storage
from roomcast.config.problems import Unfit


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_only_this_machine_reaches_a_loopback_address(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["0.0.0.0", "::", "10.0.0.1", "127.1", "127.0.0.1.example.com", "localhost.a.com"])
def test_everything_else_counts_as_reachable_by_others(name: str) -> None:
    assert not is_loopback(name)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("[::1]", "::1"), ("Example.COM", "example.com"), ("0.0.0.0", "0.0.0.0"), ("my_host", "my_host")],
)
def test_a_host_is_an_address_or_a_name(written: str, canonical: str) -> None:
    assert host(written) == canonical


@pytest.mark.parametrize("written", ["", "*", "127.0.0.1:80", "http://localhost", "a b", "1.2.3.4.5", "-x", "::1]"])
def test_what_is_neither_address_nor_name_is_refused(written: str) -> None:
    with pytest.raises(Unfit):
        host(written)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("https://Chat.Example.com", "https://chat.example.com"),
        ("https://chat.example.com:443", "https://chat.example.com"),
        ("http://chat.example.com:443", "http://chat.example.com:443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(written: str, canonical: str) -> None:
    assert origin(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        *("*", "https://*.example.com", "null", "example.com", "https://", "//example.com"),
        *("https://example.com/", "https://example.com/chat", "https://example.com?x", "https://example.com#"),
        *("https://me@example.com", "https://example.com:", "https://example.com:99999", "https://exa mple.com"),
    ],
)
def test_what_is_not_exactly_one_origin_is_refused(written: str) -> None:
    with pytest.raises(Unfit):
        origin(written)


@given(st.from_regex(r"https?://[a-z0-9]{1,9}(\.[a-z]{2,5}){0,2}(:[1-9][0-9]{1,3})?", fullmatch=True))
def test_an_origin_stays_the_same_when_it_is_read_again(written: str) -> None:
    try:
        once = origin(written)
    except Unfit:
        assert written.partition("://")[2].partition(":")[0].isdigit()  # looks like an address and is none
    else:
        assert origin(once) == once


def test_networks_are_made_canonical() -> None:
    assert (network("10.1.2.3/8"), network("::1")) == ("10.0.0.0/8", "::1/128")
    with pytest.raises(Unfit):
        network("*")


def test_a_service_address_loses_its_last_slash() -> None:
    assert base_url("http://127.0.0.1:11434/v1/") == "http://127.0.0.1:11434/v1"


@pytest.mark.parametrize(
    "written", ["127.0.0.1:8000", "ftp://example.com", "https://", "https://h/v1?key=1", "https://h/#"]
)
def test_a_service_address_needs_scheme_and_host_and_nothing_behind_the_path(written: str) -> None:
    with pytest.raises(Unfit):
        base_url(written)


def test_a_password_in_a_service_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Unfit) as caught:
        base_url("https://me:hunter2hunter2@example.com/v1")
    assert "hunter2" not in caught.value.expected + caught.value.shown


@pytest.mark.parametrize("written", ["sqlite:///{data}/roomcast.db", "sqlite:////var/lib/x.db", "memory://"])
def test_the_stores_of_this_version_are_accepted(written: str) -> None:
    assert storage(written) == written


@pytest.mark.parametrize(
    "written", ["sqlite://x.db", "sqlite:///", "sqlite:///:memory:", "memory:", "x.db", "mysql://h"]
)
def test_other_stores_are_refused(written: str) -> None:
    with pytest.raises(Unfit, match="memory://"):
        storage(written)


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_stores_of_later_versions_are_told_apart_and_their_passwords_not_repeated(scheme: str) -> None:
    with pytest.raises(Unfit, match="later version") as caught:
        storage(f"{scheme}://me:hunter2@host/0")
    assert "hunter2" not in caught.value.expected + caught.value.shown
