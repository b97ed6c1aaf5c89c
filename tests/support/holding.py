"""What must hold when a random walk through the pipeline has come to rest."""

from __future__ import annotations

from roomcast.core.events import TERMINAL_TYPES, decode_event
from roomcast.core.ports import Events
from roomcast.storage import MemoryStore
from tests.support.rig import Viewer

__all__ = ["assert_consecutive", "assert_each_response_ended_once"]


def assert_consecutive(viewer: Viewer) -> None:
    """Each event follows the one before, or the join or reset that said where the viewer stands."""
    stands_at = -1
    for got in viewer.received:
        if got["type"] == "reply":
            if got["ok"] and "epoch" in got["result"]:
                stands_at = got["result"]["seq"]
        elif got["type"] == "room.reset":
            assert got["seq"] >= stands_at
            stands_at = got["seq"]
        elif "at" in got:
            first = got["seq_from"] if "seq_from" in got else got["seq"]
            assert first == stands_at + 1, got
            stands_at = got["seq"]


async def assert_each_response_ended_once(store: MemoryStore, room: str) -> None:
    read = await store.read(room, 0, 1_000_000)
    assert isinstance(read, Events)
    endings: dict[str, int] = {}
    cancelling: set[str] = set()
    for record in read.records:
        response_id = decode_event(record).get("response_id", "")
        if record.type == "response.created":
            endings[response_id] = 0
        elif record.type in TERMINAL_TYPES:
            endings[response_id] += 1
        elif record.type == "response.cancelling":
            cancelling.add(response_id)
        else:
            assert response_id not in cancelling, f"{record.type} behind the cancel"
    assert set(endings.values()) <= {1}
