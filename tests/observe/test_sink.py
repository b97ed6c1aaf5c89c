"""Tests of roomcast/observe/sink.py, on real pipes."""

import os
import time
from contextlib import suppress

import pytest

from roomcast.observe.sink import LineSink

FAR_S = 60.0


def dropped(count: int) -> bytes:
    return b"dropped %d\n" % count


def a_sink(descriptor: int, *, limit_bytes: int = 1_000_000) -> LineSink:
    return LineSink(descriptor, limit_bytes=limit_bytes, on_dropped=dropped)


def read_to_end(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


def a_full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 1_023 + b"\n")
    return reader, writer


def test_lines_come_out_whole_and_in_order() -> None:
    reader, writer = os.pipe()
    sink = a_sink(writer)
    for number in range(1_000):
        sink.write(b"%d\n" % number)
    sink.close(FAR_S)
    os.close(writer)
    assert read_to_end(reader) == b"".join(b"%d\n" % number for number in range(1_000))


def test_what_was_written_makes_room_for_more() -> None:
    reader, writer = os.pipe()
    sink = a_sink(writer, limit_bytes=15)
    with os.fdopen(reader, "rb") as lines:
        for number in range(10):
            sink.write(b"line %d....\n" % number)
            assert lines.readline() == b"line %d....\n" % number
    sink.close(FAR_S)
    os.close(writer)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_reader_that_stalls_delays_nobody_and_the_loss_is_told(blocking: bool) -> None:
    reader, writer = a_full_pipe()
    os.set_blocking(writer, blocking)
    sink = a_sink(writer, limit_bytes=10_000)
    line = b"x" * 99 + b"\n"
    started = time.monotonic()
    for _ in range(5_000):
        sink.write(line)
    sink.flush()
    assert time.monotonic() - started < 30
    kept = told = 0
    with os.fdopen(reader, "rb") as lines:  # reading lets the thread go on
        while kept + told < 5_000:
            received = lines.readline()
            kept += received == line
            told += int(received.removeprefix(b"dropped ")) if received.startswith(b"dropped") else 0
    assert 100 <= kept <= 400  # what the thread held and what waited, at 100 lines each
    sink.close(FAR_S)
    os.close(writer)


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = a_sink(writer)
    sink.write(b"first\n")
    sink.write(b"second\n")
    sink.close(FAR_S)
    sink.write(b"after the end\n")
    os.close(writer)


def test_closing_does_not_wait_for_ever() -> None:
    reader, writer = os.pipe()
    sink = a_sink(writer)
    sink.write(b"x" * 500_000)
    started = time.monotonic()
    sink.close(0.05)
    assert time.monotonic() - started < 30
    os.close(reader)  # lets the thread go
    sink.close(FAR_S)
    os.close(writer)
