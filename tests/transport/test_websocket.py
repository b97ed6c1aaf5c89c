"""Tests of roomcast/transport/websocket.py that look inside; tests/e2e/ has what shows on the outside."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from roomcast.config import load
from roomcast.core.limits import Limits
from roomcast.core.settings import ServerSettings, Settings
from roomcast.wiring import House, house
from tests.support import virtual_time
from tests.support.faulty_store import FaultyStore
from tests.support.raw_peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawPeer, encode_frame
from tests.support.rig import Rig, a_rig
from tests.transport.connected import Line, Peer

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def a_house(tmp_path: Path, **limits: int) -> AsyncGenerator[House]:
    flags = {f"limits.{name}": value for name, value in limits.items()}
    settings = load(flags={"server.port": 0, "storage.data": str(tmp_path), **flags}, environ={}, file=None)
    async with house(settings) as running:
        yield running


async def eventually(holds: Callable[[], object]) -> None:
    """Wait for something inside the server that the network brings about."""
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.005)


async def test_replies_that_wait_for_their_snapshot_count_as_commands_under_way(tmp_path: Path) -> None:
    """A peer that reads a drop now and then has no deadline: it must not make joins pile up."""
    async with a_house(tmp_path, commands_in_flight=4) as running:
        port = int(running.url.rpartition(":")[2])
        writer = await to_thread.run_sync(partial(RawPeer.upgraded, port, member="writer"))
        with writer:
            for _ in range(5):
                said = partial(writer.reply, "message.create", room="lobby", content="x" * 50_000, respond="never")
                await to_thread.run_sync(said)
        peer = await to_thread.run_sync(partial(RawPeer.upgraded, port, receive_buffer_bytes=4_096))
        with peer:
            await eventually(lambda: len(running.wheel.connections) == 1)
            [connection] = running.wheel.connections
            pump = connection.pump
            assert pump is not None
            for number in range(30):
                peer.text(json.dumps({"type": "room.join", "id": f"j{number}", "room": "lobby"}))
                await anyio.sleep(0.01)
            await eventually(lambda: not pump.writable)
            assert pump.outbox.statistics().frames <= 8
            heard = [await to_thread.run_sync(partial(peer.until_type, "reply", id=f"j{n}")) for n in range(30)]
            assert all(reply["ok"] for reply in heard), "what waited outside is answered when it reads on"


async def test_connections_that_came_and_went_leave_no_task(tmp_path: Path) -> None:
    async with a_house(tmp_path) as running:
        port = int(running.url.rpartition(":")[2])

        def come_and_go(number: int) -> None:
            with RawPeer.upgraded(port, member=f"m{number}") as peer:
                assert peer.reply("room.join", room="lobby")["ok"]
                peer.command("history.list", room="lobby")
                (peer.reset, peer.half_close, lambda: peer.frame(BINARY, b"x"))[number % 3]()

        await to_thread.run_sync(come_and_go, 0)
        await eventually(lambda: not running.wheel.connections)
        before = {task.get_name() for task in asyncio.all_tasks()}
        for number in range(30):
            await to_thread.run_sync(come_and_go, number)
        await eventually(lambda: not running.wheel.connections)
        await eventually(lambda: {task.get_name() for task in asyncio.all_tasks()} <= before)
        assert running.desk.fanout(running.hub.room("lobby")).subscribers == set()


# ---- on virtual time, over a transport in memory ---------------------------------------------


def note(number: int = 1, size: int = 10) -> dict[str, Any]:
    """A command that is answered when its commit is done."""
    text = "n" * size
    return {"type": "message.create", "id": f"n{number}", "room": "lobby", "content": text, "respond": "never"}


JOIN = {"type": "room.join", "id": "j1", "room": "lobby"}
PING_COMMAND = {"type": "session.ping", "id": "p1"}


async def settle(rig: Rig) -> None:
    """Let everything that is in line be decided and committed."""
    await rig.hub.flush()


async def joined(line: Line, member: str) -> Peer:
    peer = line.peer(member)
    peer.text(JOIN)
    await settle(line.rig)
    assert peer.messages[-1]["ok"]
    return peer


def test_T1_no_reply_follows_our_close_frame() -> None:
    async def scenario() -> None:
        store = FaultyStore()
        async with a_rig(store=store) as rig:
            peer = await joined(Line(rig), "ann")
            store.gate = anyio.Event()
            peer.text(note())
            await anyio.sleep(1)
            peer.frame(BINARY, b"x")
            assert peer.goodbye() == 1003
            store.gate.set()
            await settle(rig)
            peer.text(PING_COMMAND)
            peer.frame(PING, b"there?")
            assert peer.goodbye() == 1003, "and it is the last frame"

    virtual_time.run(scenario())


def test_T1_what_was_sent_behind_a_close_frame_has_no_effect() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            peer = await joined(Line(rig), "ann")
            goodbye = encode_frame(CLOSE, (1000).to_bytes(2, "big"))
            peer.send(goodbye + encode_frame(TEXT, json.dumps(note()).encode()))
            await settle(rig)
            assert peer.goodbye() == 1000
            assert rig.room("lobby").state.seq == 1

    virtual_time.run(scenario())


def test_T1_what_is_sent_behind_our_own_close_frame_has_no_effect_either() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            peer = await joined(Line(rig), "ann")
            peer.frame(BINARY, b"x")
            peer.text(note())
            await settle(rig)
            assert peer.goodbye() == 1003
            assert rig.room("lobby").state.seq == 1

    virtual_time.run(scenario())


def test_a_ping_inside_a_message_is_answered_before_the_message_however_they_arrive() -> None:
    command = b'{"type":"session.ping","id":"p1"}'
    begun, between, ended = (
        encode_frame(TEXT, command[:5], fin=False),
        encode_frame(PING, b"between"),
        encode_frame(CONTINUATION, command[5:]),
    )

    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            for segments in [[begun + between + ended], [begun, between + ended], [begun + between, ended]]:
                peer = line.peer()
                for segment in segments:
                    peer.send(segment)
                assert [opcode for opcode, _ in peer.frames] == [PONG, TEXT]

    virtual_time.run(scenario())


def test_T3_a_message_has_a_bounded_number_of_fragments() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            peer = await joined(Line(rig), "ann")
            peer.frame(TEXT, b"", fin=False)
            for _ in range(254):
                peer.frame(CONTINUATION, b"", fin=False)
            assert peer.goodbye() is None
            peer.frame(CONTINUATION, b"", fin=False)
            assert peer.goodbye() == 1009

    virtual_time.run(scenario())


def test_T2_a_peer_that_does_not_answer_our_goodbye_is_dropped_in_time() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            peer = await joined(line, "ann")
            peer.frame(BINARY, b"x")
            await line.turn(rig.limits.close_timeout_s - 0.5)
            assert not peer.transport.is_closing()
            await line.turn(1)
            assert peer.transport.is_closing()
            assert line.wheel.connections == []

    virtual_time.run(scenario())


def test_T2_one_that_ends_its_side_with_bytes_waiting_gets_no_more_rounds_and_is_dropped() -> None:
    """A write behind the end of the stream raises; it would take the round of everybody with it."""

    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            reader, halved = await joined(line, "reader"), await joined(line, "halved")
            halved.transport.takes = False
            reader.text(note(1))
            await settle(rig)
            assert halved.transport.waiting
            halved.end()
            reader.text(note(2))
            await settle(rig)
            assert [got["seq"] for got in reader.messages if got["type"] == "item.created"] == [2, 3]
            await line.turn(rig.limits.close_timeout_s + 0.5)
            assert halved.transport.is_closing()
            assert halved.transport.socket.options[socket.SO_LINGER], "by a reset: the kernel gives up at once"

    virtual_time.run(scenario())


def test_T2_the_keepalive_asks_nobody_whose_stream_has_ended() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(close_timeout_s=100)) as rig:
            line = Line(rig)
            halved = await joined(line, "halved")
            halved.transport.takes = False
            halved.connection.eof_received()
            await line.turn(50)
            assert line.wheel.connections == [halved.connection]

    virtual_time.run(scenario())


def test_T3_whoever_sends_on_behind_our_goodbye_is_dropped_after_one_more_message() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            peer = await joined(Line(rig), "ann")
            peer.frame(BINARY, b"x")
            for _ in range(4):
                peer.frame(TEXT, b"x" * 16_000)
            assert not peer.transport.is_closing()
            peer.frame(TEXT, b"x" * 16_000)
            assert peer.transport.is_closing()

    virtual_time.run(scenario())


def test_T3_reading_stops_while_too_many_commands_are_under_way() -> None:
    async def scenario() -> None:
        store = FaultyStore()
        async with a_rig(store=store, limits=Limits(commands_in_flight=4)) as rig:
            peer = await joined(Line(rig), "ann")
            store.gate = anyio.Event()
            for number in range(3):
                peer.text(note(number))
            assert peer.transport.is_reading()
            peer.text(note(3))
            assert not peer.transport.is_reading()
            store.gate.set()
            await settle(rig)
            assert peer.transport.is_reading()
            assert sum(got["type"] == "reply" and got["ok"] for got in peer.messages) == 5

    virtual_time.run(scenario())


def test_T3_what_is_no_command_counts_for_a_minute() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            peer = await joined(Line(rig), "ann")
            for _ in range(19):
                peer.text("{}")
            await anyio.sleep(61)
            for _ in range(19):
                peer.text("{}")
            assert peer.goodbye() is None
            peer.text("{}")
            assert peer.goodbye() == 4400
            assert sum(got["type"] == "error" for got in peer.messages) == 39

    virtual_time.run(scenario())


def test_T3_commands_have_a_rate_and_insisting_ends_the_connection() -> None:
    async def scenario() -> None:
        limits = Limits(commands_per_s=10, commands_burst=20)
        async with a_rig(limits=limits) as rig:
            peer = await joined(Line(rig), "ann")
            before = len(peer.messages)
            for _ in range(20):
                peer.text(PING_COMMAND)
            outcomes = [got["ok"] or got["error"]["code"] for got in peer.messages[before:]]
            assert outcomes == [True] * 19 + ["rate_limited"]
            await anyio.sleep(peer.messages[-1]["error"]["retry_after_ms"] / 1000)
            peer.text(PING_COMMAND)
            assert peer.messages[-1]["ok"]
            for _ in range(40):
                peer.text(PING_COMMAND)
            assert peer.goodbye() == 4429

    virtual_time.run(scenario())


def test_a_fault_of_ours_ends_its_own_connection_with_1011(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            other, struck = await joined(line, "other"), await joined(line, "struck")

            def broken(*_: object) -> None:
                raise ZeroDivisionError

            with monkeypatch.context() as patch:
                patch.setattr(rig.dispatch, "handle", broken)
                struck.text(PING_COMMAND)
            assert struck.goodbye() == 1011
            other.text(note())
            await settle(rig)
            assert other.messages[-1]["ok"]

    virtual_time.run(scenario())


def test_a_full_transport_takes_the_connection_out_of_rounds_until_it_is_read() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            writer, slow = await joined(line, "writer"), await joined(line, "slow")
            slow.transport.takes = False
            for number in range(4):
                writer.text(note(number, 30_000))
                await settle(rig)
            assert slow.connection.pump is not None
            assert not slow.connection.pump.writable
            waiting = len(slow.transport.waiting)
            writer.text(note(9, 30_000))
            await settle(rig)
            assert len(slow.transport.waiting) == waiting
            slow.transport.takes = True
            slow.transport.flush()
            seqs = [got["seq"] for got in slow.messages if got["type"] == "item.created"]
            assert seqs == [2, 3, 4, 5, 6]

    virtual_time.run(scenario())


def test_behind_a_proxy_that_is_trusted_the_address_is_the_clients() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            settings = Settings(server=ServerSettings(trusted_proxies=("127.0.0.1",)), limits=rig.limits)
            line = Line(rig, settings)
            proxied = line.peer("ann", x_forwarded_for="198.51.100.7, 203.0.113.9")
            direct = line.peer("bob", address="192.0.2.1", x_forwarded_for="203.0.113.9")
            assert (proxied.connection.address, direct.connection.address) == ("203.0.113.9", "192.0.2.1")

    virtual_time.run(scenario())


def test_whoever_is_gone_leaves_its_place_to_others() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(connections_per_address=1)) as rig:
            line = Line(rig)
            first = await joined(line, "ann")
            refused = line.peer("bob")
            assert refused.status == 429
            refused.end()
            first.transport.abort()
            await settle(rig)
            again = line.peer("bob")
            assert again.status == 101
            assert line.wheel.connections == [again.connection]
            assert rig.desk.fanout(rig.room("lobby")).subscribers == set()

    virtual_time.run(scenario())
