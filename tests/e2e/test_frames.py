"""Frames that are none (W1 to W15): each has its close code, and harms nobody else."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.raw_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawPeer,
    encode_frame,
    upgrade_head,
)
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed

PING_COMMAND = b'{"type":"session.ping","id":"p1"}'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder: Path = tmp_path_factory.mktemp("frames")
    with roomcast_server(folder, environ={"ROOMCAST_LIMITS__CLOSE_TIMEOUT_S": "0.5"}) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Generator[Server]:
    """The server, which must be unharmed after each test."""
    yield running
    assert_unharmed(running)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(encode_frame(TEXT, PING_COMMAND, mask=False), 1002, id="W1 unmasked"),
        pytest.param(encode_frame(TEXT, PING_COMMAND, rsv=4), 1002, id="W2 compressed, though not negotiated"),
        pytest.param(encode_frame(TEXT, PING_COMMAND, rsv=2), 1002, id="W2 second reserved bit"),
        pytest.param(encode_frame(3, PING_COMMAND), 1002, id="W2 reserved opcode"),
        pytest.param(encode_frame(11), 1002, id="W2 reserved control opcode"),
        pytest.param(encode_frame(TEXT, b"\xff\xfe"), 1007, id="W3 no UTF-8"),
        pytest.param(encode_frame(TEXT, b'{"a":"\xed\xa0\x80"}'), 1007, id="W3 an encoded surrogate"),
        pytest.param(encode_frame(TEXT, b"\xe2\x82"), 1007, id="W3 cut in mid-character"),
        pytest.param(
            encode_frame(TEXT, b"\xe2\x82", fin=False) + encode_frame(CONTINUATION, b"\x28"),
            1007,
            id="W3 no UTF-8 across fragments",
        ),
        pytest.param(encode_frame(TEXT, b"", length=2**30), 1009, id="W4 a length of 1 GiB"),
        pytest.param(encode_frame(TEXT, b"", length=2**63), 1009, id="W4 a length with the top bit"),
        pytest.param(encode_frame(TEXT, b" " * 65_537), 1009, id="W4 a byte too long"),
        pytest.param(
            encode_frame(TEXT, b" " * 40_000, fin=False) + encode_frame(CONTINUATION, b" " * 40_000),
            1009,
            id="W5 fragments that are too long together",
        ),
        pytest.param(
            encode_frame(TEXT, b"", fin=False) + encode_frame(CONTINUATION, b"", fin=False) * 5_000,
            1009,
            id="W5 fragments without end",
        ),
        pytest.param(encode_frame(PING, b"x" * 126), 1002, id="W7 long ping"),
        pytest.param(encode_frame(PING, b"x", fin=False), 1002, id="W7 fragmented ping"),
        pytest.param(encode_frame(CONTINUATION, b"x"), 1002, id="W7 continuation of nothing"),
        pytest.param(encode_frame(TEXT, b"{", fin=False) + encode_frame(TEXT, b"}"), 1002, id="W7 text in a text"),
        pytest.param(encode_frame(CLOSE, b"\x03"), 1002, id="W7 close with one byte"),
        pytest.param(
            encode_frame(CLOSE, (1005).to_bytes(2, "big")), 1002, id="W7 close with a code that is never sent"
        ),
        pytest.param(encode_frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007, id="W7 close reason, no UTF-8"),
        pytest.param(encode_frame(BINARY, PING_COMMAND), 1003, id="W10 binary"),
        pytest.param(encode_frame(BINARY, b"", fin=False), 1003, id="W10 binary, in fragments"),
    ],
)
def test_a_frame_that_is_none_ends_its_connection_with_the_documented_code(
    server: Server, sent: bytes, code: int
) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.send(sent)
        assert peer.goodbye() == code
        peer.rest()


def test_a_text_of_exactly_the_limit_is_read(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.text(PING_COMMAND + b" " * (65_536 - len(PING_COMMAND)))
        assert peer.until_type("reply", id="p1")["ok"]


def test_a_command_may_come_in_fragments_with_pings_between(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        for position, byte in enumerate(PING_COMMAND):
            last = position == len(PING_COMMAND) - 1
            peer.frame(TEXT if position == 0 else CONTINUATION, bytes((byte,)), fin=last)
            if position == 5:
                peer.frame(PING, b"between")
        assert peer.next_frame() == (PONG, b"between")
        assert b'"ok":true' in peer.next_frame()[1]


def test_a_command_may_come_byte_by_byte(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        for byte in encode_frame(TEXT, PING_COMMAND):
            peer.send(bytes((byte,)))
        assert peer.until_type("reply", id="p1")["ok"]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4999])
def test_a_close_frame_is_echoed(server: Server, code: int) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.frame(CLOSE, code.to_bytes(2, "big") + b"bye")
        assert peer.goodbye() == code
        assert peer.rest() == b""


def test_an_empty_close_frame_is_answered_by_one(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.frame(CLOSE)
        assert peer.next_frame() == (CLOSE, b"")
        assert peer.rest() == b""


def test_what_follows_a_close_frame_is_not_acted_on(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        room = "after-the-end"
        peer.send(encode_frame(CLOSE, (1000).to_bytes(2, "big")))
        peer.command("room.join", room=room)
        assert peer.goodbye() == 1000
        assert peer.rest() == b""
    with RawPeer.upgraded(server.port) as other:
        refused = other.reply("history.list", room=room)
        assert refused["error"]["code"] == "room_not_found"


def test_what_precedes_a_bad_frame_is_acted_on_and_answered(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.send(encode_frame(TEXT, PING_COMMAND) + encode_frame(3))
        assert peer.hear()["id"] == "p1"
        assert peer.goodbye() == 1002


def test_after_our_close_frame_nothing_is_written(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.send(encode_frame(BINARY, b"x") + encode_frame(PING, b"there?"))
        peer.frame(PING, b"still there?")
        assert peer.goodbye(answer=False) == 1003
        with suppress(OSError):  # it may be gone already
            peer.frame(PING, b"and now?")
        assert peer.rest() == b""


def test_a_peer_that_never_answers_a_close_is_cut(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        peer.frame(BINARY, b"x")
        assert peer.goodbye(answer=False) == 1003
        assert peer.rest() == b""


def test_frames_in_the_segment_of_the_upgrade_are_read(server: Server) -> None:
    with RawPeer(server.port) as peer:
        peer.send(upgrade_head(server.port) + encode_frame(TEXT, PING_COMMAND))
        assert peer.response()[0] == 101
        assert peer.hear()["id"] == "p1"


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_frames_behind_a_head_that_is_torn_at_its_end_are_read(server: Server, cut: int) -> None:
    head = upgrade_head(server.port)
    with RawPeer(server.port) as peer:
        peer.socket.setsockopt(6, 1, 1)  # TCP_NODELAY: two segments
        peer.send(head[:-cut])
        _let_it_be_read(server)
        peer.send(head[-cut:] + encode_frame(TEXT, PING_COMMAND))
        assert peer.response()[0] == 101
        assert peer.hear()["id"] == "p1"


def test_a_half_close_is_a_goodbye(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        assert peer.reply("room.join", room="lobby")["ok"]
        peer.half_close()
        assert peer.goodbye() is None
        assert peer.rest() == b""


def test_a_half_close_by_one_who_does_not_read_harms_no_other_viewer(server: Server) -> None:
    with (
        RawPeer.upgraded(server.port, member="reader") as reader,
        RawPeer.upgraded(server.port, member="halved", receive_buffer_bytes=4_096) as halved,
    ):
        reader.reply("room.join", room="halves")
        halved.reply("room.join", room="halves")
        for number in range(6):  # what is said fills the kernel, and then some of the buffer above it
            if number == 3:
                halved.half_close()
                _let_it_be_read(server)
            assert reader.reply("message.create", room="halves", content="x" * 20_000, respond="never")["ok"]


def _let_it_be_read(server: Server) -> None:
    """A round trip on another connection: what was sent before it has been read by then."""
    with RawPeer.upgraded(server.port, member="other") as other:
        other.reply("session.ping")
