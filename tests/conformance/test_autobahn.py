"""Tests of tests/conformance/autobahn/: the echo is the server's own WebSocket, and the comparison compares.

The suite itself needs a Python 2.7, and runs with `make conformance` only.
"""

from __future__ import annotations

import stat
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from roomcast.transport.websocket import WebSocketConnection
from tests.conformance.autobahn.echo import EchoConnection, echoing
from tests.conformance.autobahn.suite import Unfit, python27
from tests.conformance.autobahn.table import Table, differences, results, unexplained
from tests.support.raw_peer import BINARY, CONTINUATION, TEXT, RawPeer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def peer() -> AsyncGenerator[RawPeer]:
    async with echoing() as url:
        port = int(url.removesuffix("/v1/ws").rpartition(":")[2])
        with await to_thread.run_sync(partial(RawPeer.upgraded, port)) as peer:
            yield peer


@pytest.mark.anyio
async def test_the_echo_says_what_it_hears(peer: RawPeer) -> None:
    for text in (b"", "grüße".encode(), b"x" * 65_536):
        peer.frame(TEXT, text)
        assert await to_thread.run_sync(peer.next_frame) == (TEXT, text)
    peer.frame(TEXT, b"Hel", fin=False)
    peer.frame(CONTINUATION, b"lo")
    assert await to_thread.run_sync(peer.next_frame) == (TEXT, b"Hello")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [(BINARY, b"x", 1003), (TEXT, b"\xff", 1007), (TEXT, b"x" * 65_537, 1009), (3, b"", 1002)],
)
async def test_the_echo_has_the_limits_and_codes_of_the_server(
    peer: RawPeer, opcode: int, payload: bytes, code: int
) -> None:
    peer.frame(opcode, payload)
    assert await to_thread.run_sync(peer.goodbye) == code


def test_the_echo_replaces_what_a_message_means_and_nothing_else() -> None:
    replaced = {name for name in vars(EchoConnection) if callable(vars(EchoConnection)[name])}
    assert replaced == {"_text"}
    assert issubclass(EchoConnection, WebSocketConnection)


# ---- the table -------------------------------------------------------------------------------


def test_every_case_that_is_not_simply_ok_has_one_reason() -> None:
    table = Table.read()
    assert unexplained(table) == []
    assert len(table.cases) == 247


def test_a_case_without_its_reason_and_a_reason_without_its_case_are_found() -> None:
    table = Table({"1.1": "OK OK 1000", "1.2": "FAILED OK 1002", "1.3": "OK OK 1000"}, {"why": ["1.3"], "or": ["1.1"]})
    assert unexplained(table) == ["1.1", "1.2", "1.3"]


def test_a_case_that_did_something_else_is_missing_or_is_new_is_a_difference() -> None:
    index = {
        "1.10": {"behavior": "OK", "behaviorClose": "OK", "remoteCloseCode": 1000},
        "1.9": {"behavior": "FAILED", "behaviorClose": "OK", "remoteCloseCode": None},
    }
    found = results(index)
    assert list(found.items()) == [("1.9", "FAILED OK -"), ("1.10", "OK OK 1000")]
    assert differences({"1.9": "OK OK 1000", "1.8": "OK OK 1000"}, found) == [
        ("1.9", "OK OK 1000", "FAILED OK -"),
        ("1.8", "OK OK 1000", "absent"),
        ("1.10", "absent", "OK OK 1000"),
    ]
    assert differences(found, found) == []


# ---- the interpreter -------------------------------------------------------------------------


def test_without_a_python_2_7_it_says_so_and_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"no python2\.7 on the path.*PYTHON27="):
        python27({"PATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("script", "why"),
    [("echo 3.11 >&2; exit 127", "3.11"), ("printf 3.11", "it says it is 3.11"), (None, "cannot be run")],
    ids=["a launcher of none", "another version", "no program"],
)
def test_what_is_no_python_2_7_is_not_taken_for_one(tmp_path: Path, script: str | None, why: str) -> None:
    program = tmp_path / "python2.7"
    program.write_text(f"#!/bin/sh\n{script}\n")
    if script is not None:
        program.chmod(stat.S_IRWXU)
    with pytest.raises(Unfit, match=why):
        python27({"PYTHON27": str(program)})


def test_an_interpreter_of_python_2_7_is_found_on_the_path_or_by_name(tmp_path: Path) -> None:
    program = tmp_path / "python2.7"
    program.write_text("#!/bin/sh\nprintf 2.7\n")
    program.chmod(stat.S_IRWXU)
    assert python27({"PATH": str(tmp_path)}) == str(program)
    assert python27({"PATH": "", "PYTHON27": str(program)}) == str(program)
