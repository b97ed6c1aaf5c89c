"""Signals (L1, L2): a goodbye for everybody, in bounded time, also beside peers that do not read."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.raw_peer import RawPeer
from tests.support.server import ENDLESS, Server, roomcast_server
from tests.support.unharmed import assert_unharmed, log_lines

LENIENT = {"ROOMCAST_LIMITS__WRITE_DEADLINE_S": "300"}
"""With whoever does not read, but not in a drain."""
QUICK = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "200"}
PATIENT = {"ROOMCAST_SERVER__DRAIN_TIMEOUT_S": "120"}
SHORT_DRAIN_S = 1  # as roomcast_server sets it
GONE_S = 30
"""The promise is 5; a busy machine is several times slower, and what does not keep it takes a minute or more."""


def ended_within(server: Server, seconds: float, since: float) -> int:
    """The exit status of a server that is gone in time, and has nothing to hide."""
    status = server.wait(max(0.1, since + seconds - time.monotonic()))
    assert not [line for line in log_lines(server) if line["level"] == "error" or "exception" in line]
    return status


def joined(stack: ExitStack, server: Server, member: str, *, receive_buffer_bytes: int | None = None) -> RawPeer:
    peer = RawPeer.upgraded(server.port, member=member, receive_buffer_bytes=receive_buffer_bytes)
    stack.enter_context(peer)
    assert peer.reply("room.join", room="lobby")["ok"]
    return peer


def test_L1_peers_that_do_not_read_hold_up_no_drain(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=LENIENT) as server, ExitStack() as stack:
        ann = joined(stack, server, "ann")
        for number in range(5):
            joined(stack, server, f"stalled-{number}", receive_buffer_bytes=4_096)
        streams = [stack.enter_context(RawPeer(server.port, receive_buffer_bytes=4_096)) for _ in range(3)]
        for stream in streams:
            stream.send(f"GET /v1/rooms/lobby/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
            stream.response()
        torn = stack.enter_context(RawPeer(server.port))
        torn.send(b"GET /v1/ws HTTP/1.1\r\n")
        silent = stack.enter_context(RawPeer.upgraded(server.port, member="silent"))
        for _ in range(20):
            assert ann.reply("message.create", room="lobby", content="x" * 20_000, respond="never")["ok"]
        ann.reply("message.create", room="lobby", content=ENDLESS)
        ann.until_type("response.output_text.delta")
        since = time.monotonic()
        server.terminate()
        assert ann.until_type("server.draining")["retry_after_ms"] > 0
        ended = ann.until_type("response.interrupted")
        assert (ended["cause"], ended["retryable"]) == ("drain", True)
        assert ann.goodbye() == 1012
        assert silent.goodbye() == 1012
        assert ended_within(server, SHORT_DRAIN_S + GONE_S, since) == 0


def test_an_answer_that_ends_in_time_is_completed_and_nobody_waits_longer(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=PATIENT) as server, ExitStack() as stack:
        ann = joined(stack, server, "ann")
        ann.reply("message.create", room="lobby", content="!fault drip every_ms=20 count=400\nsome seconds of it")
        ann.until_type("response.output_text.delta")
        server.terminate()
        ann.until_type("server.draining")
        assert readiness(server) == 503
        refused = ann.reply("message.create", room="lobby", content="one more")["error"]
        assert (refused["code"], refused["retryable"]) == ("draining", True)
        ann.until_type("response.completed")
        since = time.monotonic()
        assert ann.goodbye() == 1012
        assert ended_within(server, GONE_S, since) == 0


def test_who_comes_during_a_drain_is_told_so_and_sees_the_end(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=PATIENT) as server, ExitStack() as stack:
        ann = joined(stack, server, "ann")
        ann.reply("message.create", room="lobby", content=ENDLESS)
        ann.until_type("response.output_text.delta")
        server.terminate()
        ann.until_type("server.draining")
        late = stack.enter_context(RawPeer.upgraded(server.port, member="late"))
        assert late.until_type("server.draining")["retry_after_ms"] > 0
        assert late.reply("room.join", room="lobby")["ok"]
        late.until_type("response.output_text.delta")
        server.terminate()
        assert late.until_type("response.interrupted") == ann.until_type("response.interrupted")
        assert late.goodbye() == 1012


def readiness(server: Server) -> int:
    """Status of `/readyz`."""
    with RawPeer(server.port) as peer:
        peer.send(f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        return peer.response()[0]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_L2_a_second_signal_means_now(tmp_path: Path, second: signal.Signals) -> None:
    with roomcast_server(tmp_path, environ=PATIENT) as server, ExitStack() as stack:
        ann = joined(stack, server, "ann")
        joined(stack, server, "stalled", receive_buffer_bytes=4_096)
        ann.reply("message.create", room="lobby", content=ENDLESS)
        ann.until_type("response.output_text.delta")
        server.terminate()
        ann.until_type("server.draining")
        ann.until_type("response.output_text.delta")
        since = time.monotonic()
        server.process.send_signal(second)
        assert ann.until_type("response.interrupted")["cause"] == "drain"
        assert ann.goodbye() == 1012
        assert ended_within(server, GONE_S, since) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_L2_the_other_signals_stop_an_idle_server_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with roomcast_server(tmp_path, environ=PATIENT) as server, ExitStack() as stack:
        ann = joined(stack, server, "ann")
        since = time.monotonic()
        server.process.send_signal(number)
        assert ann.goodbye() == 1012
        assert ended_within(server, GONE_S, since) == 0


def test_what_waited_is_started_by_the_next_server(tmp_path: Path) -> None:
    with roomcast_server(tmp_path) as server, ExitStack() as stack:
        ann = joined(stack, server, "ann")
        running = ann.reply("message.create", room="lobby", content=ENDLESS)["result"]["response_id"]
        waiting = ann.reply("message.create", room="lobby", content="a short answer, please")["result"]["response_id"]
        epoch = ann.reply("room.join", room="lobby")["result"]["epoch"]
        server.terminate()
        assert ann.until_type("response.interrupted")["response_id"] == running
        last = ann.heard[-1]["seq"]
        assert ann.goodbye() == 1012
        assert server.wait(60) == 0
    with roomcast_server(tmp_path, environ=QUICK) as server, RawPeer.upgraded(server.port, member="ann") as ann:
        back = ann.reply("room.join", room="lobby", after={"epoch": epoch, "seq": last})["result"]
        assert back["resumed"], "a clean stop loses nothing"
        assert ann.until_type("response.completed")["response_id"] == waiting
        assert_unharmed(server)
