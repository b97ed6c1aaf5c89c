"""Tests of roomcast/client/listing.py, over real sockets."""

from __future__ import annotations

import socket

import pytest

from roomcast.client import NotAllowed, Refused, Unreachable, list_rooms
from roomcast.core.events import JsonObject
from tests.client.scripted import scripted

pytestmark = pytest.mark.anyio


def page(*names: str, has_more: bool = False) -> tuple[int, JsonObject]:
    return 200, {"rooms": [{"name": name} for name in names], "has_more": has_more}


def error(status: int, code: str) -> tuple[int, JsonObject]:
    return status, {"type": "error", "error": {"code": code, "message": "no", "retryable": False}}


async def test_all_pages_are_read() -> None:
    async with scripted(page("a", "b", has_more=True), page("c")) as server:
        assert [room["name"] for room in await list_rooms(server.url)] == ["a", "b", "c"]
    assert server.paths == ["/v1/rooms?limit=500", "/v1/rooms?limit=500&after=b"]


async def test_a_server_without_rooms_is_no_failure() -> None:
    async with scripted(page()) as server:
        assert await list_rooms(server.url) == []


async def test_a_server_that_does_not_know_us_says_so() -> None:
    async with scripted(error(401, "unauthenticated")) as server:
        with pytest.raises(NotAllowed) as caught:
            await list_rooms(server.url, token="t0")
    assert caught.value.status == 401


async def test_a_refusal_is_raised_with_its_code() -> None:
    async with scripted(error(429, "rate_limited")) as server:
        with pytest.raises(Refused) as caught:
            await list_rooms(server.url)
    assert caught.value.code == "rate_limited"


@pytest.mark.parametrize("answer", [404, (200, {"hello": "world"}), (500, {})])
async def test_another_kind_of_server_is_called_that(answer: int | tuple[int, JsonObject]) -> None:
    async with scripted(answer) as server:
        with pytest.raises(Unreachable, match="is no roomcast server"):
            await list_rooms(server.url)


async def test_an_address_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="connection refused"):
            await list_rooms(f"http://127.0.0.1:{taken.getsockname()[1]}")
