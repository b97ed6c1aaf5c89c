"""Floods (W5, R2 to R4, R7): what one client sends costs a bounded amount, and nobody else waits for it."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.memory import MIB, descriptors, rss_bytes, settled_rss_bytes
from tests.support.raw_peer import CONTINUATION, PING, PONG, TEXT, RawPeer, encode_frame, upgrade_head
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed, log_lines

PING_COMMAND = encode_frame(TEXT, b'{"type":"session.ping","id":"p1"}')
BEGUN = encode_frame(TEXT, b"", fin=False)
EMPTY = encode_frame(CONTINUATION, b"", fin=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("floods")) as server:
        settled_rss_bytes(server)
        yield server


@pytest.fixture
def server(running: Server) -> Generator[Server]:
    """The server, which must be unharmed after each test."""
    yield running
    assert_unharmed(running)


def _sends(peer: RawPeer, data: bytes) -> bool:
    """Whether the connection still takes it."""
    try:
        peer.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


@pytest.mark.parametrize(
    ("opening", "repeated", "code"),
    [
        pytest.param(b"", encode_frame(PING), 4429, id="empty pings"),
        pytest.param(b"", encode_frame(PING, b"x" * 125), 4429, id="full pings"),
        pytest.param(b"", encode_frame(PONG), 4429, id="pongs"),
        pytest.param(b"", encode_frame(TEXT), 4400, id="empty texts"),
        pytest.param(b"", encode_frame(TEXT, b"{}"), 4400, id="texts that are no commands"),
        pytest.param(b"", PING_COMMAND, 4429, id="commands"),
        pytest.param(BEGUN, EMPTY, 1009, id="fragments of nothing"),
        pytest.param(b"", BEGUN + EMPTY * 200 + encode_frame(CONTINUATION, b"{}"), 4400, id="fragments of little"),
    ],
)
def test_R3_a_flood_is_cut_while_others_are_served(server: Server, opening: bytes, repeated: bytes, code: int) -> None:
    """The flooder never reads and never stops; what it gets rid of is what the server took, and a little buffer."""
    before_bytes, sent_bytes = rss_bytes(server), 0
    with RawPeer(server.port) as flooder, RawPeer.upgraded(server.port, member="other") as other:
        flooder.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        flooder.send(upgrade_head(server.port))
        assert flooder.response()[0] == 101
        flooder.send(opening)
        wave = repeated * (16 * 1024 // len(repeated) + 1)
        while sent_bytes < 64 * MIB and _sends(flooder, wave):
            sent_bytes += len(wave)
            assert other.reply("session.ping")["ok"]
        assert flooder.goodbye() in {code, None}  # the cut may overtake the goodbye
    assert sent_bytes < 1 * MIB
    assert rss_bytes(server) - before_bytes < 8 * MIB


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(encode_frame(PING) * 400, 4429, id="pings"),
        pytest.param(PING_COMMAND * 1_000, 4429, id="commands"),
        pytest.param(encode_frame(TEXT, b"{}") * 20, 4400, id="no commands"),
    ],
)
def test_R3_whoever_stops_in_time_is_told_why_it_is_closed(server: Server, sent: bytes, code: int) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.send(sent)
        assert peer.goodbye() == code


def test_R3_too_many_commands_are_refused_until_there_is_time(tmp_path: Path) -> None:
    few = {"ROOMCAST_LIMITS__COMMANDS_PER_S": "5", "ROOMCAST_LIMITS__COMMANDS_BURST": "40"}
    with roomcast_server(tmp_path, environ=few) as server, RawPeer.upgraded(server.port) as peer:
        peer.send(PING_COMMAND * 60)
        outcomes = [peer.hear() for _ in range(60)]
        refused = [got["error"] for got in outcomes if not got["ok"]]
        assert {error["code"] for error in refused} == {"rate_limited"}
        assert all(error["retryable"] and error["retry_after_ms"] > 0 for error in refused)
        assert outcomes[0]["ok"]
        wait_ms = refused[-1]["retry_after_ms"]
        time.sleep(wait_ms / 1000)
        assert peer.reply("session.ping")["ok"]


def test_R4_replies_that_are_not_read_end_the_connection_and_not_the_memory(server: Server) -> None:
    with RawPeer.upgraded(server.port, member="writer") as writer:
        for _ in range(8):
            assert writer.reply("message.create", room="large", content="x" * 60_000, respond="never")["ok"]
    before_bytes = rss_bytes(server)
    with RawPeer.upgraded(server.port, receive_buffer_bytes=4_096) as greedy:
        page = json.dumps({"type": "history.list", "id": "h1", "room": "large", "limit": 8}).encode()
        greedy.send(encode_frame(TEXT, page) * 60)
        assert greedy.goodbye() in {4408, None}
    assert rss_bytes(server) - before_bytes < 16 * MIB


def test_R7_a_connection_joins_as_many_rooms_as_it_may(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        joins = [json.dumps({"type": "room.join", "id": f"j{number}", "room": f"r{number}"}) for number in range(70)]
        peer.send(b"".join(encode_frame(TEXT, join.encode()) for join in joins))
        replies = [peer.until_type("reply") for _ in range(70)]
        outcomes = {got["id"]: got["ok"] or got["error"]["code"] for got in replies}
        assert [outcomes[f"j{number}"] for number in range(70)] == [True] * 64 + ["rate_limited"] * 6
        assert peer.reply("history.list", room="r69")["error"]["code"] == "room_not_found"
        assert peer.reply("room.join", room="r3")["ok"], "joining again takes no further place"
        assert peer.reply("room.leave", room="r3")["ok"]
        assert peer.reply("room.join", room="r69")["ok"]


def _knock(port: int) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a handshake, which is not kept."""
    with RawPeer(port) as peer:
        peer.send(upgrade_head(port))
        status, headers, _ = peer.response()
        peer.reset()
        return status, headers


def test_R2_an_address_has_so_many_connections_and_comes_so_often(tmp_path: Path) -> None:
    few = {
        "ROOMCAST_LIMITS__CONNECTIONS_PER_ADDRESS": "4",
        "ROOMCAST_LIMITS__HANDSHAKES_PER_ADDRESS_BURST": "100",
        "ROOMCAST_LIMITS__HANDSHAKES_PER_ADDRESS_PER_S": "0.01",
    }
    with roomcast_server(tmp_path, environ=few) as server, ExitStack() as stack:
        peers = [stack.enter_context(RawPeer.upgraded(server.port)) for _ in range(4)]
        status, headers = _knock(server.port)
        assert (status, int(headers["retry-after"])) == (429, 5)
        peers.pop().reset()
        knocks = 5
        while status != 101:  # the server hears of the reset in its own time
            status, _ = _knock(server.port)
            knocks += 1
        while knocks < 100:
            assert _knock(server.port)[0] in {101, 429}
            knocks += 1
        status, headers = _knock(server.port)
        assert (status, int(headers["retry-after"]) > 5) == (429, True)
        assert all(peer.reply("session.ping")["ok"] for peer in peers)


def test_R1_a_server_without_descriptors_serves_who_is_there_and_recovers(tmp_path: Path) -> None:
    with roomcast_server(tmp_path) as server, ExitStack() as stack:
        settled_rss_bytes(server)
        most = descriptors(server) + 10
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, most))
        first = [stack.enter_context(RawPeer.upgraded(server.port)) for _ in range(5)]
        crowd = [stack.enter_context(RawPeer(server.port)) for _ in range(20)]
        for peer in crowd:  # some are let in, some are dropped, some wait with the kernel
            peer.send(upgrade_head(server.port))
        assert all(peer.reply("session.ping")["ok"] for peer in first)
        for peer in crowd:
            peer.reset()
        patience_until = time.monotonic() + 60
        while descriptors(server) >= most - 1 and time.monotonic() < patience_until:
            time.sleep(0.05)
        assert_unharmed(server)
        assert all(peer.reply("session.ping")["ok"] for peer in first)
        assert len(log_lines(server)) < 100, "it does not fill its log meanwhile"
