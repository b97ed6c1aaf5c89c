"""Tests of roomcast/upstream/demo/ledger.py."""

from __future__ import annotations

import anyio
import pytest

from roomcast.upstream.demo.ledger import Ending, Ledger
from roomcast.upstream.demo.steps import Request


def test_an_answer_is_open_and_then_ended_in_one_way() -> None:
    ledger = Ledger(keep=0)
    with ledger.answering() as first, ledger.answering():
        first.ending = Ending.FINISHED
        assert (ledger.open_streams, ledger.finished, ledger.aborted) == (2, 0, 0)
    assert (ledger.open_streams, ledger.finished, ledger.aborted, ledger.broken) == (0, 1, 1, 0)


def test_an_answer_that_a_bug_ended_is_counted_apart() -> None:
    ledger = Ledger(keep=0)
    with ledger.answering() as playing:
        playing.ending = Ending.BROKEN
    assert (ledger.finished, ledger.aborted, ledger.broken) == (0, 0, 1)


def test_only_the_newest_requests_are_kept() -> None:
    ledger = Ledger(keep=2)
    for path in "abc":
        ledger.saw(Request("GET", path, {}, b""))
    assert ledger.requests == 3
    assert [request.path for request in ledger.seen] == ["b", "c"]


@pytest.mark.anyio
async def test_whoever_waits_is_woken_by_the_change_and_not_before() -> None:
    ledger = Ledger(keep=0)
    order: list[str] = []

    async def wait() -> None:
        await ledger.until(lambda: ledger.aborted == 1)
        order.append("woken")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            with ledger.answering():
                await anyio.wait_all_tasks_blocked()
                order.append("left")
        await ledger.until(lambda: ledger.aborted == 1)  # holds already
    assert order == ["left", "woken"]
