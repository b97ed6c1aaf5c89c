"""300 connections come and go, each in its own way, and leave nothing behind (R6, W13, W14)."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.support.memory import MIB, descriptors, settled_rss_bytes
from tests.support.raw_peer import BINARY, CLOSE, RawPeer, upgrade_head
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed, metric

QUICK = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "2000", "ROOMCAST_DEMO__FIRST_TOKEN_MS": "1"}


def says_goodbye(peer: RawPeer, port: int) -> None:
    _join(peer, port)
    peer.frame(CLOSE, (1000).to_bytes(2, "big"))
    assert peer.goodbye() == 1000


def resets_in_mid_stream(peer: RawPeer, port: int) -> None:
    _join(peer, port)
    peer.command("message.create", room="churn", content="short")
    peer.until_type("response.created")
    peer.reset()


def half_closes(peer: RawPeer, port: int) -> None:
    _join(peer, port)
    peer.half_close()
    peer.rest()


def is_at_fault(peer: RawPeer, port: int) -> None:
    _join(peer, port)
    peer.frame(BINARY, b"x")
    assert peer.goodbye() == 1003


def is_refused(peer: RawPeer, port: int) -> None:
    peer.send(upgrade_head(port, origin="https://evil.example"))
    assert peer.response()[0] == 403


def leaves_in_the_handshake(peer: RawPeer, port: int) -> None:
    peer.send(upgrade_head(port)[:50])
    peer.reset()


def watches_over_http(peer: RawPeer, port: int) -> None:
    peer.send(f"GET /v1/rooms/churn/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    assert peer.response()[0] == 200
    peer.reset()


def asks_over_http(peer: RawPeer, port: int) -> None:
    peer.send(f"GET /v1/rooms/churn/items HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    assert peer.response()[0] == 200


WAYS: tuple[Callable[[RawPeer, int], None], ...] = (
    says_goodbye,
    resets_in_mid_stream,
    half_closes,
    is_at_fault,
    is_refused,
    leaves_in_the_handshake,
    watches_over_http,
    asks_over_http,
)


def _join(peer: RawPeer, port: int) -> None:
    peer.send(upgrade_head(port))
    assert peer.response()[0] == 101
    assert peer.reply("room.join", room="churn")["ok"]


def _churn(server: Server, connections: int) -> None:
    for way in islice(cycle(WAYS), connections):
        with RawPeer(server.port) as peer:
            way(peer, server.port)


@pytest.mark.timeout(120)
def test_R6_what_came_and_went_leaves_no_descriptor_no_subscriber_and_no_memory(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=QUICK) as server:
        _churn(server, 2 * len(WAYS))  # what is made once is made now
        before, before_bytes = descriptors(server), settled_rss_bytes(server)
        _churn(server, 300)
        patience_until = (
            time.monotonic() + 25
        )  # answers go on when their askers have left; gauges are set once a second
        while (left := _left_behind(server, before)) and time.monotonic() < patience_until:
            time.sleep(0.1)
        assert left == {}
        assert settled_rss_bytes(server) - before_bytes < 8 * MIB
        assert_unharmed(server)


def _left_behind(server: Server, descriptors_before: int) -> dict[str, float]:
    """What is there and should not be."""
    gauges = ("roomcast_connections", "roomcast_subscribers", "roomcast_generations_running", "roomcast_outbox_bytes")
    found = {name: metric(server, name) for name in gauges}
    found["descriptors"] = max(0, descriptors(server) - descriptors_before)
    return {name: value for name, value in found.items() if value}
