"""Tests of roomcast/cli/lines.py."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from roomcast.cli.lines import typed_lines

pytestmark = pytest.mark.anyio


@pytest.fixture
def pipe() -> Generator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


async def test_lines_come_as_they_are_typed(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lines = typed_lines(reading)
    os.write(writing, b"one\ntwo\r\nthr")
    assert [await anext(lines), await anext(lines)] == ["one", "two"]
    os.write(writing, b"ee\n")
    assert await anext(lines) == "three"
    os.close(writing)
    assert [line async for line in lines] == []


async def test_what_has_no_line_end_is_the_last_line(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, "first\nlàst".encode())
    os.close(writing)
    assert [line async for line in typed_lines(reading)] == ["first", "làst"]


async def test_a_letter_that_arrives_in_two_parts_is_one_letter(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lines, letter = typed_lines(reading), "é".encode()
    async with anyio.create_task_group() as tasks:

        async def write() -> None:
            os.write(writing, letter[:1])
            await anyio.wait_all_tasks_blocked()
            os.write(writing, letter[1:] + b"\n")

        tasks.start_soon(write)
        assert await anext(lines) == "é"
    os.close(writing)
    await lines.aclose()


async def test_bytes_that_are_no_text_are_replaced(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b"\xff\n")
    os.close(writing)
    assert [line async for line in typed_lines(reading)] == ["\ufffd"]


async def test_waiting_for_a_line_can_be_given_up(pipe: tuple[int, int]) -> None:
    """A thread could not be: the process would stay until somebody types."""
    reading, writing = pipe
    with anyio.move_on_after(0.01) as scope:
        await anext(typed_lines(reading))
    os.close(writing)
    assert scope.cancelled_caught


async def test_a_file_and_an_empty_device_can_be_read_too(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_text("one\ntwo\n")
    for source, expected in ((path, ["one", "two"]), (Path(os.devnull), [])):
        descriptor = os.open(source, os.O_RDONLY)
        assert [line async for line in typed_lines(descriptor)] == expected
        os.close(descriptor)
