"""Handshakes that are refused or never end (W8 to W14, A1): the status, and nobody else's problem."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress

import pytest

from tests.support.memory import MIB, rss_bytes
from tests.support.raw_peer import CLOSE, PING, TEXT, RawPeer, encode_frame, upgrade_head
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed, log_lines

PATIENT = {
    "ROOMCAST_LIMITS__HANDSHAKE_TIMEOUT_S": "60",
    "ROOMCAST_LIMITS__FIRST_COMMAND_TIMEOUT_S": "60",
    "ROOMCAST_SERVER__ALLOWED_ORIGINS": "https://good.example",
}
HASTY = {"ROOMCAST_LIMITS__HANDSHAKE_TIMEOUT_S": "4", "ROOMCAST_LIMITS__FIRST_COMMAND_TIMEOUT_S": "4"}
"""For what is about time; it leaves us, on a busy machine, the time to do what we do in time."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("handshakes"), environ=PATIENT) as server:
        yield server


@pytest.fixture(scope="module")
def in_a_hurry(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("hasty"), environ=HASTY) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Generator[Server]:
    """The server, which must be unharmed after each test."""
    yield running
    assert_unharmed(running)


@pytest.fixture
def hasty(in_a_hurry: Server) -> Generator[Server]:
    """One that does not wait for long; unharmed as well."""
    yield in_a_hurry
    assert_unharmed(in_a_hurry)


def answer_to(server: Server, sent: bytes) -> tuple[int, str]:
    """Status of the answer, and the code of its body if it is ours; the end follows, unless an upgrade is wanted."""
    with RawPeer(server.port) as peer:
        peer.send(sent)
        status, headers, body = peer.response()
        assert headers["connection"] == ("Upgrade" if status == 426 else "close")
        assert status == 426 or peer.rest() == b""
        return status, json.loads(body)["error"]["code"] if body.startswith(b"{") else ""


# ---- from where ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "https://good.example.evil",
        "https://good.example:444",
        "http://good.example",
        "https://good.example/",
        "https://evil.example/https://good.example",
        "https://good.example@evil.example",
        "file://",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
    ],
)
def test_A1_a_foreign_origin_is_refused_before_the_upgrade(server: Server, origin: str) -> None:
    assert answer_to(server, upgrade_head(server.port, origin=origin)) == (403, "forbidden")


def test_A1_two_origins_are_refused(server: Server) -> None:
    head = upgrade_head(server.port, origin="https://good.example")
    both = head.replace(b"\r\n\r\n", b"\r\nOrigin: https://evil.example\r\n\r\n")
    assert answer_to(server, both) == (400, "invalid_value")


@pytest.mark.parametrize("origin", ["https://good.example", "http://127.0.0.1:{port}"])
def test_A1_our_own_origin_and_a_listed_one_may_come_in(server: Server, origin: str) -> None:
    with RawPeer.upgraded(server.port, origin=origin.format(port=server.port)) as peer:
        assert peer.reply("session.ping")["ok"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::2]", "127.0.0.1:x", ""]
)
def test_A1_a_foreign_host_is_refused(server: Server, host: str) -> None:
    assert answer_to(server, upgrade_head(server.port, host=host)) == (403, "forbidden")


def test_A1_a_missing_host_is_refused(server: Server) -> None:
    assert answer_to(server, upgrade_head(server.port, without=["host"]))[0] in {400, 403}


# ---- what ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "status"),
    [
        pytest.param({"sec_websocket_version": "12"}, 400, id="another version"),
        pytest.param({"sec_websocket_key": "short"}, 400, id="a bad key"),
        pytest.param({"without": ["sec-websocket-key"]}, 400, id="no key"),
        pytest.param({"without": ["upgrade", "connection"]}, 426, id="no upgrade"),
        pytest.param({"without": ["upgrade"]}, 426, id="an upgrade to nothing"),
        pytest.param({"method": "POST"}, 405, id="another method"),
        pytest.param({"path": "/v1/other"}, 404, id="another address"),
        pytest.param({"path": "//["}, 400, id="an address that cannot be read"),
        pytest.param({"path": "/v1/ws?member=a%20b"}, 400, id="an impossible member"),
        pytest.param({"path": "/v1/ws?member=system"}, 400, id="the server's own name"),
        pytest.param({"path": "/v1/ws?member=a&member=b"}, 400, id="two members"),
        pytest.param({"path": "/v1/ws?ticket=abc"}, 401, id="a ticket, which nobody gave out"),
        pytest.param({"path": "/v1/ws?name=" + "n" * 9_000}, 414, id="W8 a long address"),
        pytest.param({"x_long": "h" * 9_000}, 431, id="W8 a long header"),
        pytest.param({f"x_{number}": "h" for number in range(200)}, 431, id="W8 many headers"),
    ],
)
def test_W9_what_is_no_handshake_is_refused_with_its_status(server: Server, how: dict[str, str], status: int) -> None:
    assert answer_to(server, upgrade_head(server.port, **how))[0] == status


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"\0" * 100, id="zeros"),
        pytest.param(b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \xff\0\r\n\r\n", id="no text"),
        pytest.param(b"EHLO example\r\n", id="mail"),
    ],
)
def test_W9_what_is_no_http_is_refused_or_cut(hasty: Server, sent: bytes) -> None:
    before = len(log_lines(hasty))
    with RawPeer(hasty.port) as peer:
        peer.send(sent)
        assert peer.rest()[:12] in {b"", b"HTTP/1.1 400"}
    assert len(log_lines(hasty)) - before <= 1


def test_W9_http_1_0_cannot_upgrade(server: Server) -> None:
    assert answer_to(server, upgrade_head(server.port).replace(b"HTTP/1.1", b"HTTP/1.0"))[0] == 400


def test_a_handshake_with_a_body_does_not_hang(hasty: Server) -> None:
    with RawPeer(hasty.port) as peer:
        peer.send(upgrade_head(hasty.port, content_length="5") + b"he")
        assert b" 101 " not in peer.rest()


def test_an_upgrade_behind_a_request_that_is_still_answered_is_not_served(hasty: Server) -> None:
    with RawPeer(hasty.port) as peer:
        events = f"GET /v1/rooms/lobby/events HTTP/1.1\r\nHost: 127.0.0.1:{hasty.port}\r\n\r\n"
        peer.send(events.encode() + upgrade_head(hasty.port))
        assert b" 101 " not in peer.rest()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("roomcast.v1", "roomcast.v1"), ("chat, roomcast.v1", "roomcast.v1"), ("chat", None), (None, None)],
)
def test_the_subprotocol_is_ours_or_none(server: Server, offered: str | None, chosen: str | None) -> None:
    with RawPeer(server.port) as peer:
        peer.send(upgrade_head(server.port, **({} if offered is None else {"sec_websocket_protocol": offered})))
        status, headers, _ = peer.response()
        assert (status, headers.get("sec-websocket-protocol")) == (101, chosen)
        assert "sec-websocket-extensions" not in headers


def test_W6_compression_is_not_negotiated_and_nothing_is_unpacked(server: Server) -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(b" " * 50_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert 40_000 < len(bomb) < 65_536
    before_bytes = rss_bytes(server)
    with RawPeer(server.port) as peer:
        offer = "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"
        peer.send(upgrade_head(server.port, sec_websocket_extensions=offer))
        status, headers, _ = peer.response()
        assert (status, "sec-websocket-extensions" in headers) == (101, False)
        peer.frame(TEXT, bomb, rsv=4)
        assert peer.goodbye() == 1002
    assert rss_bytes(server) - before_bytes < 8 * MIB


# ---- never -----------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"GET", b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_W11_a_handshake_that_does_not_end_is_cut(hasty: Server, begun: bytes) -> None:
    with RawPeer(hasty.port) as peer:
        peer.send(begun)
        assert peer.rest() == b""


def test_W11_headers_that_trickle_in_are_cut_and_others_come_in_meanwhile(hasty: Server) -> None:
    with RawPeer(hasty.port) as peer:
        peer.send(b"GET /v1/ws HTTP/1.1\r\n")
        while not peer.is_cut(within_s=0.2):
            with suppress(OSError):  # it may have been cut just now
                peer.send(b"X-Slow: header\r\n")
            with RawPeer.upgraded(hasty.port, member="other") as other:
                assert other.reply("session.ping")["ok"]


def test_W11_200_handshakes_that_do_not_end_are_cut_and_one_that_does_is_served_meanwhile(hasty: Server) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(RawPeer(hasty.port)) for _ in range(200)]
        for number, peer in enumerate(slow):
            with suppress(OSError):  # the first may be cut before the last has begun
                peer.send(upgrade_head(hasty.port)[: number or None][:-1])
        with RawPeer.upgraded(hasty.port, member="other") as other:
            assert other.reply("session.ping")["ok"]
        assert {peer.rest() for peer in slow} == {b""}


def test_W12_200_connections_without_a_command_are_all_closed(hasty: Server) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(RawPeer.upgraded(hasty.port)) for _ in range(200)]
        assert {peer.goodbye() for peer in silent} == {1008}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([], id="nothing"),
        pytest.param([encode_frame(PING)], id="pings"),
        pytest.param([encode_frame(TEXT, b"{}"), encode_frame(TEXT, b'{"type":"nothing","id":"c1"}')], id="no command"),
    ],
)
def test_W12_whoever_says_no_valid_command_in_time_is_closed_1008(hasty: Server, said: list[bytes]) -> None:
    with RawPeer.upgraded(hasty.port) as peer:
        for frame in said:
            peer.send(frame)
        assert peer.goodbye() == 1008


def test_W12_whoever_said_one_may_be_silent(hasty: Server) -> None:
    with RawPeer.upgraded(hasty.port) as peer, RawPeer.upgraded(hasty.port) as silent:
        peer.reply("session.ping")
        assert silent.goodbye() == 1008
        assert peer.reply("session.ping")["ok"]


# ---- gone ------------------------------------------------------------------------------------


def _head_torn(port: int) -> RawPeer:
    peer = RawPeer(port)
    peer.send(upgrade_head(port)[:40])
    return peer


def _head_whole(port: int) -> RawPeer:
    peer = RawPeer(port)
    peer.send(upgrade_head(port))
    return peer


def _frame_torn(port: int) -> RawPeer:
    peer = RawPeer.upgraded(port)
    peer.send(encode_frame(TEXT, b"x" * 100)[:50])
    return peer


def _command_sent(port: int) -> RawPeer:
    peer = RawPeer.upgraded(port)
    peer.command("message.create", room="gone", content="hello")
    return peer


def _joined(port: int) -> RawPeer:
    peer = RawPeer.upgraded(port)
    peer.reply("room.join", room="gone")
    return peer


def _watching(port: int) -> RawPeer:
    peer = _joined(port)
    peer.command("message.create", room="gone", content="hello")
    peer.until_type("response.output_text.delta")
    return peer


def _closed(port: int) -> RawPeer:
    peer = RawPeer.upgraded(port)
    peer.frame(CLOSE, (1000).to_bytes(2, "big"))
    return peer


@pytest.mark.parametrize("leave", [RawPeer.reset, RawPeer.half_close], ids=["reset", "half-close"])
@pytest.mark.parametrize(
    "step",
    [RawPeer, _head_torn, _head_whole, RawPeer.upgraded, _frame_torn, _command_sent, _joined, _watching, _closed],
)
def test_W13_W14_a_peer_may_go_at_any_step(
    server: Server, step: Callable[[int], RawPeer], leave: Callable[[RawPeer], None]
) -> None:
    with step(server.port) as peer:
        leave(peer)
        if leave is RawPeer.half_close:
            peer.rest()
