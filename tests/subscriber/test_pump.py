"""Tests of roomcast/subscriber/pump.py: one connection's way out."""

from __future__ import annotations

from roomcast.core.errors import Disconnect
from roomcast.core.limits import Limits
from roomcast.core.session import Member
from roomcast.subscriber.pump import Pump
from tests.support.rig import PLAIN


class Wire:
    """A sink that takes `takes` writes, then says stop from inside the write, as transports do."""

    def __init__(self, takes: int = 1_000) -> None:
        self.takes = takes
        self.written: list[bytes] = []
        self.endings: list[Disconnect] = []
        self.paused: list[Pump] = []
        self.pump = Pump(self, PLAIN, Member("ann", "Ann"), Limits(outbox_bytes=100), self.paused.append)

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.takes -= 1
        if self.takes <= 0:
            self.pump.pause()

    def buffered_bytes(self) -> int:
        return 0

    def end(self, why: Disconnect) -> None:
        self.endings.append(why)

    def go_on(self, takes: int) -> None:
        self.takes = takes
        self.pump.resume()


def test_what_is_told_is_written_at_once_while_the_socket_takes_it() -> None:
    wire = Wire()
    wire.pump.tell(b"one")
    wire.pump.tell(b"two")
    assert wire.written == [b"one\n", b"two\n"]


def test_what_is_told_to_a_full_socket_waits_in_order() -> None:
    wire = Wire(takes=1)
    for word in (b"one", b"two", b"three"):
        wire.pump.tell(word)
    assert wire.written == [b"one\n"]
    assert wire.paused == [wire.pump]
    wire.go_on(takes=1)
    assert wire.written == [b"one\n", b"two\n"]
    wire.go_on(takes=9)
    assert wire.written == [b"one\n", b"two\n", b"three\n"]


def test_a_frame_that_is_made_late_keeps_its_place_and_is_of_its_moment() -> None:
    wire = Wire(takes=1)
    moment = "early"
    wire.pump.tell(b"one")
    wire.pump.tell_later(lambda: f"made {moment}\n".encode())
    wire.pump.tell(b"two")
    moment = "late"
    wire.go_on(takes=9)
    assert wire.written == [b"one\n", b"made late\n", b"two\n"]


def test_large_frames_are_made_one_at_a_time() -> None:
    wire = Wire(takes=1)
    made: list[int] = []

    def snapshot() -> bytes:
        made.append(len(made))
        return b"snapshot"

    for _ in range(3):
        wire.pump.tell_later(snapshot)
    assert made == [0]
    wire.go_on(takes=1)
    assert made == [0, 1]


def test_what_does_not_fit_ends_the_connection() -> None:
    wire = Wire(takes=1)
    wire.pump.tell(b"one")
    wire.pump.tell(b"x" * 90)
    assert wire.endings == []
    wire.pump.tell(b"x" * 90)
    assert [why.close_code for why in wire.endings] == [4408]


def test_nothing_is_written_behind_the_end() -> None:
    wire = Wire(takes=1)
    wire.pump.tell(b"one")
    wire.pump.tell(b"two")
    wire.pump.close()
    wire.pump.tell(b"three")
    wire.pump.tell_later(lambda: b"four")
    wire.go_on(takes=9)
    assert wire.written == [b"one\n"]
    assert not wire.pump.outbox
