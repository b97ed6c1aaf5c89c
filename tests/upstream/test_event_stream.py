"""Tests of roomcast/upstream/event_stream.py."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.upstream.event_stream import EventStreamDecoder, Message


def decoded(data: bytes, *cuts: int, max_bytes: int = 1_000) -> tuple[list[Message], bool]:
    """Decode `data` cut at these places, to its end; also whether it overflowed."""
    decoder = EventStreamDecoder(max_bytes=max_bytes)
    places = [0, *sorted(cuts), len(data)]
    messages = [message for start, end in pairwise(places) for message in decoder.feed(data[start:end])]
    last = decoder.close()
    return messages + ([last] if last else []), decoder.overflowed


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        pytest.param(b"data: a\n\ndata:b\n\n", [(b"", b"a"), (b"", b"b")], id="with and without a space"),
        pytest.param(b"data:  a\n\n", [(b"", b" a")], id="only one space goes"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"", b"a"), (b"", b"b")], id="CRLF"),
        pytest.param(b"data: a\r\rdata: b\r\r", [(b"", b"a"), (b"", b"b")], id="CR"),
        pytest.param(b"data: a\ndata: b\ndata\n\n", [(b"", b"a\nb\n")], id="several data lines"),
        pytest.param(b"event: x\ndata: a\n\ndata: b\n\n", [(b"x", b"a"), (b"", b"b")], id="the event field"),
        pytest.param(b"event: x\n\ndata: b\n\n", [(b"", b"b")], id="an event without data is none"),
        pytest.param(b": hello\n:\n\n: again\n\ndata: a\n\n", [(b"", b"a")], id="comments"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")], id="a byte order mark"),
        pytest.param(b"id: 1\nretry: 2\nfoo: 3\nfoo\ndata: a\n\n", [(b"", b"a")], id="other fields"),
        pytest.param(
            b"data: a\x0b\x0c\x1c\x85\xc2\x85b\n\n", [(b"", b"a\x0b\x0c\x1c\x85\xc2\x85b")], id="no other line ends"
        ),
        pytest.param(b"data: a\n\n\n\n\ndata: b\n", [(b"", b"a"), (b"", b"b")], id="without the last blank line"),
        pytest.param(b"data: a", [(b"", b"a")], id="without any line end"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"<html>\n\nupstream overloaded\n\n", [], id="something else"),
    ],
)
def test_a_stream_is_decoded_as_the_standard_says(stream: bytes, messages: list[tuple[bytes, bytes]]) -> None:
    expected = [Message(*message) for message in messages], False
    assert decoded(stream) == expected
    assert decoded(stream, *range(len(stream))) == expected, "one byte at a time"


_LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:",
        b"data",
        b"event: x",
        b": c",
        b"",
        b"",
        b"\xef\xbb\xbf",
        b"data: \xf0\x9f\x8e\x89",
        b"id: 1",
    ]
) | st.binary(max_size=12)
_STREAMS = st.lists(st.tuples(_LINES, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(_STREAMS | st.binary(), st.data())
def test_cutting_a_stream_into_chunks_changes_nothing(stream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    whole = decoded(stream, max_bytes=16)
    assert decoded(stream, *cuts, max_bytes=16) == whole
    assert decoded(stream, *range(len(stream)), max_bytes=16) == whole


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1, max_size=3), max_size=5
    )
)
def test_what_is_written_as_events_is_read_as_events(texts: list[list[str]]) -> None:
    stream = b"".join(b"".join(f"data: {line}\r\n".encode() for line in lines) + b"\r\n" for lines in texts)
    messages, overflowed = decoded(stream)
    assert [message.data.decode() for message in messages] == ["\n".join(lines) for lines in texts]
    assert not overflowed


@pytest.mark.parametrize(
    "too_long",
    [
        pytest.param(b"data: 12345678901234567", id="a line that ends"),
        pytest.param(b"data: 1234567\ndata: 12345678\ndata: 1", id="many lines of one message"),
        pytest.param(b": 12345678901234567", id="a comment"),
    ],
)
@pytest.mark.parametrize("ending", [b"\n\n", b""])
def test_nothing_is_decoded_behind_what_is_too_long(too_long: bytes, ending: bytes) -> None:
    stream = b"data: ok\n\n" + too_long + ending + b"data: late\n\n"
    assert decoded(stream, max_bytes=16) == ([Message(b"", b"ok")], True)


def test_an_endless_line_is_not_held() -> None:
    decoder = EventStreamDecoder(max_bytes=100)
    for _ in range(1_000):
        decoder.feed(b"x" * 64)
    assert decoder.overflowed
    assert sum(len(value) for value in vars(decoder).values() if isinstance(value, (bytes, bytearray))) <= 100


def test_what_is_too_long_only_with_its_last_line_is_refused_at_the_end() -> None:
    assert decoded(b"data: ok\n\ndata: 123456789\ndata: 12345678", max_bytes=16) == ([Message(b"", b"ok")], True)
    assert decoded(b"data: 12345678\ndata: 1234567", max_bytes=16) == ([Message(b"", b"12345678\n1234567")], False)
