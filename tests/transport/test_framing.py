"""Tests of roomcast/transport/framing.py: whatever its length, a payload is one frame that any peer reads."""

from __future__ import annotations

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from roomcast.core.events import Record
from roomcast.transport.framing import WEBSOCKET, text_frame


def read(data: bytes) -> list[Frame]:
    """What the library's client makes of these bytes."""
    client = ClientProtocol(parse_uri("ws://127.0.0.1/v1/ws"), state=State.OPEN, max_size=None)
    client.receive_data(data)
    assert client.state is State.OPEN, client.close_exc
    return [event for event in client.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576])
def test_a_payload_of_any_length_is_one_whole_text_frame(size: int) -> None:
    payload = b"x" * size
    [frame] = read(text_frame(payload))
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, payload)


def test_frames_that_are_joined_are_read_one_by_one() -> None:
    payloads = [b"{}", b"x" * 200, b"y" * 70_000, b""]
    frames = read(b"".join(text_frame(payload) for payload in payloads))
    assert [bytes(frame.data) for frame in frames] == payloads


def test_events_notices_and_resets_are_their_payload_and_nothing_else() -> None:
    event = WEBSOCKET.event("e1", Record(7, "item.created", b'{"seq":7}'))
    frames = read(event + WEBSOCKET.notice(b'{"type":"reply"}') + WEBSOCKET.reset("e1", 7, b'{"type":"room.reset"}'))
    assert [bytes(frame.data) for frame in frames] == [b'{"seq":7}', b'{"type":"reply"}', b'{"type":"room.reset"}']
