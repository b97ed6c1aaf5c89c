"""1,000 connections come and go, each in its own way and at each step, and leave nothing behind (R6, W13, W14).

The server says itself what it holds: connections, subscribers, rooms, answers, tasks; the system
says it of descriptors and memory.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import anyio
import pytest

from tests.support.hostile_upstream import CLOSE as HANG_UP
from tests.support.hostile_upstream import HostileUpstream, stream
from tests.support.memory import MIB, descriptors, settled_rss_bytes
from tests.support.model_streams import responses_stream
from tests.support.raw_peer import BINARY, CLOSE, TEXT, RawPeer, encode_frame, upgrade_head
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed, metric

pytestmark = pytest.mark.anyio

CONNECTIONS, AT_A_TIME = 1_000, 8
SETTINGS = {"ROOMCAST_LIMITS__IDLE_ROOM_S": "1"}
NOTHING = (
    "roomcast_connections",
    "roomcast_subscribers",
    "roomcast_rooms_loaded",
    "roomcast_generations_running",
    "roomcast_outbox_bytes",
)
PATIENCE_S = 90
HEAP_BYTES = 16 * MIB
"""The heap and the store's caches find their size over the first few thousand connections, at about 30 MiB more than
at the start, and then stay there; `make soak` watches for how long."""


# ---- ways to come and go ---------------------------------------------------------------------


def says_nothing(peer: RawPeer, port: int, room: str) -> None:
    peer.reset()


def leaves_in_the_head(peer: RawPeer, port: int, room: str) -> None:
    peer.send(upgrade_head(port)[:50])
    peer.reset()


def leaves_before_the_handshake_is_answered(peer: RawPeer, port: int, room: str) -> None:
    peer.send(upgrade_head(port))
    peer.reset()


def leaves_behind_the_handshake(peer: RawPeer, port: int, room: str) -> None:
    shakes_hands(peer, port)
    peer.reset()


def leaves_in_a_frame(peer: RawPeer, port: int, room: str) -> None:
    shakes_hands(peer, port)
    peer.send(encode_frame(TEXT, b'{"type":"room.join","id":"half"')[:20])
    peer.reset()


def leaves_before_its_join_is_answered(peer: RawPeer, port: int, room: str) -> None:
    shakes_hands(peer, port)
    peer.command("room.join", room=room)
    peer.reset()


def leaves_when_it_has_joined(peer: RawPeer, port: int, room: str) -> None:
    joins(peer, port, room)
    peer.reset()


def leaves_before_it_hears_what_it_asked(peer: RawPeer, port: int, room: str) -> None:
    shakes_hands(peer, port)
    peer.command("room.join", room=room)
    peer.command("message.create", room=room, content="short")
    peer.reset()


def leaves_in_mid_stream(peer: RawPeer, port: int, room: str) -> None:
    joins(peer, port, room)
    peer.command("message.create", room=room, content="short")
    peer.until_type("response.created")
    peer.reset()


def leaves_in_its_own_goodbye(peer: RawPeer, port: int, room: str) -> None:
    joins(peer, port, room)
    peer.frame(CLOSE, (1000).to_bytes(2, "big"))
    peer.reset()


def says_goodbye(peer: RawPeer, port: int, room: str) -> None:
    joins(peer, port, room)
    peer.frame(CLOSE, (1000).to_bytes(2, "big"))
    assert peer.goodbye() == 1000


def half_closes(peer: RawPeer, port: int, room: str) -> None:
    joins(peer, port, room)
    peer.half_close()
    peer.rest()


def goes_from_room_to_room(peer: RawPeer, port: int, room: str) -> None:
    joins(peer, port, room)
    assert peer.reply("room.join", room=f"{room}-next")["ok"]
    assert peer.reply("room.leave", room=room)["ok"]
    peer.reset()


def is_at_fault(peer: RawPeer, port: int, room: str) -> None:
    joins(peer, port, room)
    peer.frame(BINARY, b"x")
    assert peer.goodbye() == 1003


def is_refused(peer: RawPeer, port: int, room: str) -> None:
    peer.send(upgrade_head(port, origin="https://evil.example"))
    assert peer.response()[0] == 403


def watches_over_http(peer: RawPeer, port: int, room: str) -> None:
    peer.send(f"GET /v1/rooms/{room}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    assert peer.response()[0] == 200
    peer.reset()


def leaves_before_it_may_watch(peer: RawPeer, port: int, room: str) -> None:
    peer.send(f"GET /v1/rooms/{room}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    peer.reset()


def asks_over_http(peer: RawPeer, port: int, room: str) -> None:
    peer.send(f"GET /v1/rooms/{room}/items HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    assert peer.response()[0] in {200, 404}


def leaves_in_a_body(peer: RawPeer, port: int, room: str) -> None:
    head = f"POST /v1/rooms/{room}/commands HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json"
    peer.send(f'{head}\r\nContent-Length: 500\r\n\r\n{{"type":'.encode())
    peer.reset()


def leaves_before_its_command_is_answered(peer: RawPeer, port: int, room: str) -> None:
    body = json.dumps({"type": "message.create", "id": f"over-http-{id(peer)}-{time.monotonic_ns()}", "content": "hi"})
    head = f"POST /v1/rooms/{room}/commands HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json"
    peer.send(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    peer.reset()


WAYS: tuple[Callable[[RawPeer, int, str], None], ...] = (
    says_nothing,
    leaves_in_the_head,
    leaves_before_the_handshake_is_answered,
    leaves_behind_the_handshake,
    leaves_in_a_frame,
    leaves_before_its_join_is_answered,
    leaves_when_it_has_joined,
    leaves_before_it_hears_what_it_asked,
    leaves_in_mid_stream,
    leaves_in_its_own_goodbye,
    says_goodbye,
    half_closes,
    goes_from_room_to_room,
    is_at_fault,
    is_refused,
    watches_over_http,
    leaves_before_it_may_watch,
    asks_over_http,
    leaves_in_a_body,
    leaves_before_its_command_is_answered,
)


def shakes_hands(peer: RawPeer, port: int) -> None:
    peer.send(upgrade_head(port))
    assert peer.response()[0] == 101


def joins(peer: RawPeer, port: int, room: str) -> None:
    shakes_hands(peer, port)
    assert peer.reply("room.join", room=room)["ok"]


# ---- what is left ----------------------------------------------------------------------------


def churn(server: Server, connections: int) -> None:
    """Let so many come and go, a few at a time; each of the ways once in every room, which nobody has named before."""
    salt = f"room-{os.urandom(4).hex()}"

    def one(number: int, way: Callable[[RawPeer, int, str], None]) -> None:
        with RawPeer(server.port) as peer:
            way(peer, server.port, f"{salt}-{number // len(WAYS)}")

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for done in pool.map(one, range(connections), islice(cycle(WAYS), connections)):
            assert done is None


def left_behind(server: Server, descriptors_before: int = 0, tasks_before: float = 0) -> dict[str, float]:
    """What is there and should not be."""
    found = {name: metric(server, name) for name in NOTHING}
    if tasks_before:
        found["roomcast_tasks"] = max(0, metric(server, "roomcast_tasks") - tasks_before)
        found["descriptors"] = max(0, descriptors(server) - descriptors_before)
    return {name: value for name, value in found.items() if value}


def until_nothing_is_left(server: Server, descriptors_before: int = 0, tasks_before: float = 0) -> None:
    """Answers go on when their askers have left, rooms stay for a second, and gauges are set once a second."""
    patience_until = time.monotonic() + PATIENCE_S
    while left := left_behind(server, descriptors_before, tasks_before):
        assert time.monotonic() < patience_until, left
        time.sleep(0.25)


@pytest.mark.timeout(600)
async def test_R6_what_came_and_went_leaves_no_task_no_descriptor_no_room_and_no_memory(tmp_path: Path) -> None:
    """The model hangs up after each answer: a connection kept for the next one is no leak, but looks like one."""
    async with HostileUpstream() as upstream:
        upstream.script(
            [*stream(*responses_stream("a ", "short ", "answer"), headers={"connection": "close"}), HANG_UP]
        )
        environ = {**SETTINGS, "OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": upstream.base_url}
        with roomcast_server(tmp_path, environ=environ) as server:
            await anyio.to_thread.run_sync(come_and_go, server)
        assert len(upstream.requests) > CONNECTIONS / len(WAYS)


def come_and_go(server: Server) -> None:
    """Churn, and look what is left."""
    churn(server, CONNECTIONS)  # what is made once is made now
    until_nothing_is_left(server)
    before = (descriptors(server), metric(server, "roomcast_tasks"))
    before_bytes = settled_rss_bytes(server)
    churn(server, CONNECTIONS)
    until_nothing_is_left(server, *before)
    grown_bytes = settled_rss_bytes(server) - before_bytes
    assert grown_bytes < HEAP_BYTES, f"{grown_bytes / MIB:.1f} MiB"
    assert_unharmed(server)
