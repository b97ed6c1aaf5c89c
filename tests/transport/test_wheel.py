"""Tests of roomcast/transport/wheel.py: who is visited when, and who is cut."""

from __future__ import annotations

import socket
from collections import Counter

import anyio

from roomcast.core.errors import CloseCode, Disconnect
from roomcast.core.limits import Limits
from roomcast.core.session import Role
from roomcast.core.settings import AuthSettings, Secret, Settings, StaticToken
from roomcast.observe import PrometheusObserver
from roomcast.transport.wheel import Wheel
from tests.support import virtual_time
from tests.support.raw_peer import PING, PONG
from tests.support.rig import a_rig
from tests.transport.connected import Line, Peer

PING_COMMAND = {"type": "session.ping", "id": "p1"}


def pings(peer: Peer) -> int:
    return sum(opcode == PING for opcode, _ in peer.frames)


class Socket:
    """Something that can be dropped."""

    def __init__(self) -> None:
        self.drops = 0

    def abort(self) -> None:
        self.drops += 1


# ---- deadlines -------------------------------------------------------------------------------


def test_a_socket_is_dropped_at_its_deadline_once_and_not_if_it_was_spared() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            late, spared = Socket(), Socket()
            line.wheel.abort_by(late, 2)
            line.wheel.abort_by(spared, 2)
            line.wheel.abort_by(late, 60)  # a later deadline does not put off the first
            await line.turn(1.5)
            assert late.drops == 0
            line.wheel.spare(spared)
            await line.turn(10)
            assert (late.drops, spared.drops) == (1, 0)

    virtual_time.run(scenario())


def test_whoever_says_nothing_valid_in_time_is_closed_and_whoever_did_is_not() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            silent, heard = line.peer("silent"), line.peer("heard")
            heard.text(PING_COMMAND)
            await line.turn(8)
            late = line.peer("late")
            await line.turn(2.5)
            assert (silent.goodbye(), heard.goodbye(), late.goodbye()) == (1008, None, None)
            await line.turn(8)
            assert late.goodbye() == 1008

    virtual_time.run(scenario())


def test_whoever_shows_no_token_in_time_is_closed_4401() -> None:
    async def scenario() -> None:
        token = StaticToken(token=Secret("a-token-of-somebody"), member="ann", name="Ann", role=Role.OWNER)
        async with a_rig() as rig:
            line = Line(rig, Settings(auth=AuthSettings(mode="token", tokens=[token]), limits=rig.limits))
            silent, pinging = line.peer(), line.peer()
            pinging.text(PING_COMMAND)
            shown = line.peer(authorization="Bearer a-token-of-somebody")
            shown.text(PING_COMMAND)
            await line.turn(10.5)
            assert (silent.goodbye(), pinging.goodbye(), shown.goodbye()) == (4401, 4401, None)

    virtual_time.run(scenario())


# ---- keepalive -------------------------------------------------------------------------------


def test_each_connection_is_visited_once_an_interval_and_the_visits_are_spread() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(ping_interval_s=10)) as rig:
            line = Line(rig)
            peers = [line.peer(f"m{number}") for number in range(30)]
            for peer in peers:
                peer.text(PING_COMMAND)
            await anyio.sleep(6)  # silent for longer than half an interval
            asked: dict[int, int] = {}
            async with line.turning():
                for second in range(10):
                    await anyio.sleep(1)
                    asked |= {
                        number: second for number, peer in enumerate(peers) if pings(peer) and number not in asked
                    }
            assert len(asked) == 30
            assert set(Counter(asked.values()).values()) == {3}, "as many each second"

    virtual_time.run(scenario())


def test_a_peer_that_answers_stays_and_one_that_does_not_is_dropped_in_time() -> None:
    async def scenario() -> None:
        limits = Limits()
        async with a_rig(limits=limits) as rig:
            line = Line(rig)
            there, gone = line.peer("there"), line.peer("gone")
            for peer in (there, gone):
                peer.text(PING_COMMAND)
            answered = 0
            async with line.turning():
                for _ in range(62):
                    await anyio.sleep(1)
                    if pings(there) > answered:
                        answered = pings(there)
                        there.frame(PONG)
            assert answered >= 2
            assert (there.transport.is_closing(), gone.transport.is_closing()) == (False, True)
            assert pings(gone) == 1

    virtual_time.run(scenario())


def test_one_whose_answers_are_not_read_for_a_while_is_not_taken_for_gone() -> None:
    """Its commands wait for a disk that hangs, and so does everything else that it sends."""

    async def scenario() -> None:
        async with a_rig(limits=Limits(commands_in_flight=2)) as rig:
            line = Line(rig)
            peer = line.peer("ann")
            rig.store.gate = anyio.Event()
            for number in range(2):
                peer.text({"type": "message.create", "id": f"m{number}", "room": "lobby", "content": "x"})
            assert not peer.transport.is_reading()
            await line.turn(100)
            assert not peer.transport.is_closing()
            rig.store.gate.set()
            await line.turn(1)
            assert peer.transport.is_reading()
            await line.turn(50)
            assert peer.transport.is_closing(), "and from then on it has to answer again"

    virtual_time.run(scenario())


def test_one_that_does_not_read_is_not_asked() -> None:
    """It cannot see the question; the write deadline is its own."""

    async def scenario() -> None:
        async with a_rig(limits=Limits(write_deadline_s=1_000)) as rig:
            line = Line(rig)
            peer = line.peer()
            peer.text(PING_COMMAND)
            peer.transport.takes = False
            assert peer.connection.pump is not None
            peer.connection.pump.tell(b"x" * 70_000)
            await line.turn(100)
            assert not peer.transport.is_closing()
            peer.transport.takes = True
            peer.transport.flush()
            assert pings(peer) == 0

    virtual_time.run(scenario())


# ---- full sockets ----------------------------------------------------------------------------


def test_a_socket_that_refuses_a_little_counts_as_full_and_one_that_takes_it_does_not() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            near, far = socket.socketpair()
            free, other = socket.socketpair()
            with near, far, free, other:
                near.setblocking(False)
                while True:
                    try:
                        near.send(b"x" * 65_536)
                    except BlockingIOError:
                        break
                refusing, taking = line.peer("refusing"), line.peer("taking")
                refusing.transport.socket.descriptor = near.fileno()
                taking.transport.socket.descriptor = free.fileno()
                for peer in (refusing, taking):
                    peer.text(PING_COMMAND)
                    peer.transport.takes = False
                    peer.transport.write(b"x")
                await line.turn(1.1)
                assert rig.overflow.count == 1
                await line.turn(rig.limits.write_deadline_s + 0.5)
                assert rig.overflow.count == 0
                await line.turn(rig.limits.close_timeout_s + 0.5)
                assert (refusing.transport.is_closing(), taking.transport.is_closing()) == (True, False)

    virtual_time.run(scenario())


def test_a_socket_that_was_full_below_high_water_goes_on_when_all_is_taken() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            peer = line.peer()
            peer.text(PING_COMMAND)
            peer.transport.takes = False
            peer.transport.write(b"")
            assert peer.connection.pump is not None
            peer.connection.pump.tell(b'{"type":"first"}')
            peer.connection.refuse()
            peer.connection.pump.tell(b'{"type":"second"}')
            await line.turn(3)
            assert b"second" not in peer.transport.waiting
            peer.transport.takes = True
            peer.transport.flush()
            await line.turn(0.5)
            assert [got["type"] for got in peer.messages] == ["reply", "first", "second"]

    virtual_time.run(scenario())


# ---- what is there ---------------------------------------------------------------------------


def test_what_is_there_is_counted_once_a_second_tasks_too() -> None:
    async def scenario() -> None:
        async with a_rig() as rig, anyio.create_task_group() as tasks:
            line, observer = Line(rig), PrometheusObserver()
            line.wheel = Wheel(rig.limits, rig.clock, observer)
            await line.turn(1)
            before = gauges(observer)
            for _ in range(3):
                tasks.start_soon(anyio.sleep_forever)
            viewer = rig.viewer("ann")
            await viewer.join("lobby")
            await line.turn(1)
            after = gauges(observer)
            assert after["roomcast_tasks"] == before["roomcast_tasks"] + 3
            assert (before["roomcast_rooms_loaded"], after["roomcast_rooms_loaded"]) == (0, 1)
            assert (before["roomcast_subscribers"], after["roomcast_subscribers"]) == (0, 1)
            tasks.cancel_scope.cancel()

    virtual_time.run(scenario())


def gauges(observer: PrometheusObserver) -> dict[str, float]:
    """What the page says of ours that has no labels."""
    lines = (line.rpartition(" ") for line in observer.render().decode().splitlines() if line.startswith("roomcast_"))
    return {name: float(value) for name, _, value in lines if "{" not in name}


# ---- the end ---------------------------------------------------------------------------------


def test_at_the_end_everybody_hears_goodbye_and_whoever_stays_is_dropped() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            line = Line(rig)
            polite, stubborn = line.peer("polite"), line.peer("stubborn")
            line.wheel.end_all(Disconnect(CloseCode.SERVICE_RESTART, "the server restarts"))
            assert (polite.goodbye(), stubborn.goodbye()) == (1012, 1012)
            polite.end()
            with anyio.move_on_after(1) as waiting:
                await line.wheel.emptied()
            assert waiting.cancelled_caught
            line.wheel.abort_all()
            with anyio.fail_after(1):
                await line.wheel.emptied()
            assert line.wheel.connections == []

    virtual_time.run(scenario())
