"""Tests of roomcast/dialects/sse.py."""

from __future__ import annotations

import orjson
import pytest

from roomcast.core.events import Cursor, Record
from roomcast.dialects.sse import KEEP_ALIVE, SSE, read_cursor


def blocks(data: bytes) -> list[list[str]]:
    """Blocks of lines, cut as the specification says: at CR LF, LF and CR."""
    return [
        block.split("\n") for block in data.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n\n") if block
    ]


def test_an_event_carries_its_cursor_and_its_json_in_one_line() -> None:
    assert SSE.event("ep_1", Record(42, "item.created", b'{"seq":42}')) == b'id: ep_1:42\ndata: {"seq":42}\n\n'


def test_a_notice_leaves_the_cursor_of_the_reader_alone() -> None:
    assert SSE.notice(b'{"type":"room.head"}') == b'data: {"type":"room.head"}\n\n'


def test_a_reset_moves_the_cursor_of_the_reader() -> None:
    assert SSE.reset("ep_1", 7, b"{}") == b"id: ep_1:7\ndata: {}\n\n"


@pytest.mark.parametrize(
    "text", ["line\nfeed", "carriage\rreturn", "both\r\n", "separator\u2028", "data: id: 1\n\n:", "🎉"]
)
def test_no_text_can_break_out_of_its_line(text: str) -> None:
    sent = SSE.event("ep_1", Record(1, "response.output_text.delta", orjson.dumps({"delta": text})))
    ((id_line, data_line),) = blocks(sent)
    assert (id_line, orjson.loads(data_line.removeprefix("data: "))) == ("id: ep_1:1", {"delta": text})


def test_a_keep_alive_is_a_comment() -> None:
    assert KEEP_ALIVE.startswith(b":")
    assert KEEP_ALIVE.endswith(b"\n\n")


def test_an_id_reads_back_as_the_cursor_that_it_names() -> None:
    sent = SSE.event("ep_1:b", Record(42, "x", b"{}"))
    assert read_cursor(sent.decode().splitlines()[0].removeprefix("id: ")) == Cursor("ep_1:b", 42)


@pytest.mark.parametrize(
    "text", ["", "42", "ep_1", "ep_1:", ":1", "ep_1:-1", "ep_1:1.0", "ep_1: 1", "e p:1", "ep:٣", "ep:1\n"]
)
def test_what_is_no_cursor_of_ours_is_none(text: str) -> None:
    assert read_cursor(text) is None
