"""Tests of roomcast/client/address.py."""

from __future__ import annotations

import pytest

from roomcast.client.address import Address


@pytest.mark.parametrize(
    ("typed", "socket", "shown"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/ws", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/ws", "http://127.0.0.1:8080"),
        ("https://chat.example", "wss://chat.example/v1/ws", "https://chat.example"),
        ("https://example/chat/", "wss://example/chat/v1/ws", "https://example/chat"),
        ("ws://127.0.0.1:8080/v1/ws", "ws://127.0.0.1:8080/v1/ws", "http://127.0.0.1:8080"),
        ("wss://example/a/v1/ws/", "wss://example/a/v1/ws", "https://example/a"),
        ("localhost:8080", "ws://localhost:8080/v1/ws", "http://localhost:8080"),
        ("http://[::1]:8080", "ws://[::1]:8080/v1/ws", "http://[::1]:8080"),
    ],
)
def test_an_address_may_be_typed_as_a_page_or_as_a_socket(typed: str, socket: str, shown: str) -> None:
    address = Address.parse(typed)
    assert (address.socket(), str(address)) == (socket, shown)


def test_fields_of_the_query_are_escaped_and_left_out_when_absent() -> None:
    address = Address.parse("http://h")
    assert (
        address.socket(member="a&b", name="Ada L ü", ticket=None) == "ws://h/v1/ws?member=a%26b&name=Ada%20L%20%C3%BC"
    )


def test_a_query_that_was_typed_is_kept() -> None:
    address = Address.parse("http://h/?key=1")
    assert address.socket(name="Ada") == "ws://h/v1/ws?key=1&name=Ada"
    assert address.target("/v1/rooms") == "/v1/rooms?key=1"


def test_a_prefix_stands_before_the_paths_of_the_api() -> None:
    assert Address.parse("https://example/chat").target("/v1/rooms") == "/chat/v1/rooms"


def test_a_password_in_the_address_is_shown_nowhere() -> None:
    address = Address.parse("http://ada:secret@example:81")
    assert "secret" not in f"{address} {address.socket()}"


@pytest.mark.parametrize(
    "typed", ["ftp://example", "http://", "http://:80", "http://example:port", "http://example:99999"]
)
def test_what_is_no_address_is_refused_with_a_reason(typed: str) -> None:
    with pytest.raises(ValueError, match=r"does not begin|names no host|no valid port"):
        Address.parse(typed)


@pytest.mark.parametrize(
    ("typed", "loopback"),
    [
        ("127.0.0.1:80", True),
        ("http://[::1]", True),
        ("http://localhost", True),
        ("example", False),
        ("10.0.0.1", False),
    ],
)
def test_a_loopback_address_is_known(typed: str, loopback: bool) -> None:
    assert Address.parse(typed).loopback is loopback
