"""Tests of roomcast/transport/handshake.py: what is answered, and that nobody counts who was turned away."""

from __future__ import annotations

import json
import math
from typing import Any

import anyio
import pytest

from roomcast.core.limits import Limits
from tests.support import virtual_time
from tests.support.raw_peer import upgrade_head
from tests.support.rig import a_rig
from tests.transport.connected import Line, Peer


def knock(line: Line, **how: Any) -> Peer:
    return Peer(line.services, upgrade_head(8080, **how), "127.0.0.1")


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"path": "/v1/other"}, 404, "not_supported"),
        ({"path": "//["}, 400, "invalid_value"),
        ({"path": "/v1/ws?member=system"}, 400, "invalid_value"),
        ({"path": "/v1/ws?ticket=t"}, 401, "unauthenticated"),
        ({"host": "evil.example"}, 403, "forbidden"),
        ({"origin": "https://evil.example"}, 403, "forbidden"),
    ],
)
def test_whoever_is_turned_away_is_told_why_in_the_protocols_own_json(
    how: dict[str, str], status: int, code: str
) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            peer = knock(Line(rig), **how)
            head, _, body = bytes(peer.transport.taken).partition(b"\r\n\r\n")
            assert peer.status == status
            assert json.loads(body)["error"]["code"] == code
            assert f"content-length: {len(body)}" in head.decode().lower()
            assert peer.transport.ended, "nothing follows"

    virtual_time.run(scenario())


def test_whoever_comes_too_fast_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(handshakes_per_address_burst=1, handshakes_per_address_per_s=0.1)) as rig:
            line = Line(rig)
            assert knock(line).status == 101
            refused = knock(line)
            assert refused.status == 429
            head, _, body = bytes(refused.transport.taken).partition(b"\r\n\r\n")
            wait_ms = json.loads(body)["error"]["retry_after_ms"]
            assert f"Retry-After: {math.ceil(wait_ms / 1000)}" in head.decode().split("\r\n")
            await anyio.sleep(wait_ms / 1000)
            assert knock(line).status == 101

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    "how", [{"sec_websocket_version": "8"}, {"sec_websocket_key": "x"}, {"method": "POST"}, {"origin": "null"}]
)
def test_whoever_is_turned_away_takes_no_place(how: dict[str, str]) -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(connections_per_address=1)) as rig:
            line = Line(rig)
            for _ in range(3):
                refused = knock(line, **how)
                assert refused.status >= 400
                refused.end()
            assert knock(line).status == 101

    virtual_time.run(scenario())


def test_a_whole_address_is_read_like_a_path() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            peer = knock(line, path="http://127.0.0.1:8080/v1/ws?member=ann&name=Ann%20A.")
            peer.text({"type": "room.join", "id": "j1", "room": "lobby"})
            await rig.hub.flush()
            assert peer.messages[-1]["result"]["you"] == {"id": "ann", "name": "Ann A.", "role": "owner"}

    virtual_time.run(scenario())
