"""Tests of roomcast/transport/origins.py."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers
from websockets.datastructures import Headers as WebSocketHeaders

from roomcast.transport.origins import (
    address_key,
    all_values,
    is_loopback_host,
    is_same_origin,
    one_value,
    plain_address,
)
from roomcast.transport.rejected import Rejected


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "127.9.8.7:8080", "[::1]", "[::1]:8080", "[0:0::1]"],
)
def test_a_loopback_name_is_known(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "localhost.",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#localhost",
        "0.0.0.0:8080",
        "127.1",
        "2130706433",
        "0x7f000001",
        "[::]",
        "[::1",
        "::1",
        "localhost:99999",
        "localhost:",
        "localhost:80:80",
        "localhost\t",
        "192.168.0.1",
    ],
)
def test_another_name_is_not_loopback(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8080", "localhost:8080"),
        ("http://LocalHost:8080", "localhost:8080"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("https://chat.example", "chat.example"),
        ("https://chat.example", "chat.example:443"),
        ("http://[::1]:8080", "[0::1]:8080"),
    ],
)
def test_an_origin_with_our_host_and_port_is_ours(origin: str, host: str) -> None:
    assert is_same_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "localhost:8080"),
        ("", "localhost:8080"),
        ("http://localhost", "localhost:8080"),
        ("http://localhost:8081", "localhost:8080"),
        ("https://chat.example", "chat.example:80"),
        ("http://good.example.evil", "good.example"),
        ("http://evil.good.example", "good.example"),
        ("http://goodxexample", "good.example"),
        ("http://localhost:8080.evil.example", "localhost:8080"),
        ("http://evil.example@localhost:8080", "localhost:8080"),
        ("http://localhost:8080/", "localhost:8080"),
        ("http://localhost:8080#", "localhost:8080"),
        ("http://localhost:8080 http://evil.example", "localhost:8080"),
        ("file://localhost:8080", "localhost:8080"),
        ("ws://localhost:8080", "localhost:8080"),
        ("//localhost:8080", "localhost:8080"),
        ("localhost:8080", "localhost:8080"),
        ("http://localhost:0", "localhost:0"),
    ],
)
def test_a_look_alike_is_not_ours(origin: str, host: str) -> None:
    assert not is_same_origin(origin, host)


TWICE = [("X-Forwarded-For", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")]


def test_every_line_of_a_header_is_seen_whichever_library_read_it() -> None:
    """A proxy may add a line of its own behind one that the client made up."""
    http = Headers(raw=[(name.lower().encode(), value.encode()) for name, value in TWICE])
    assert (
        all_values(http, "x-forwarded-for")
        == all_values(WebSocketHeaders(TWICE), "x-forwarded-for")
        == ["1.1.1.1", "2.2.2.2"]
    )
    assert all_values({"host": "a"}, "host") == ["a"]
    assert all_values({}, "host") == []


def test_a_header_that_decides_must_not_stand_twice() -> None:
    with pytest.raises(Rejected) as caught:
        one_value(WebSocketHeaders([("Host", "localhost"), ("Host", "evil.example")]), "host")
    assert (caught.value.status, caught.value.code) == (400, "invalid_value")


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1.2.3.4", "1.2.3.4"),
        (" 1.2.3.4:5678 ", "1.2.3.4"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
    ],
)
def test_addresses_are_read_as_proxies_write_them(written: str, plain: str | None) -> None:
    assert plain_address(written) == plain


def test_neighbours_in_one_network_count_as_one_address() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff") != address_key("2001:db8:0:1::1")
    assert address_key("1.2.3.4") != address_key("1.2.3.5")
    assert address_key("local") == "local"
