"""What must hold after any attack: the server serves everybody else, and its log shows no fault of ours."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.request import urlopen

from tests.support.raw_peer import RawPeer
from tests.support.server import Server

__all__ = ["assert_unharmed", "log_lines", "metric"]


def log_lines(server: Server) -> list[dict[str, Any]]:
    """The server's log; every line of it is JSON, a traceback on standard error would not be."""
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def assert_unharmed(server: Server) -> None:
    """Somebody else joins, speaks and is heard; and nothing in the log is an error or a traceback."""
    with RawPeer.upgraded(server.port, member="witness") as witness:
        room = f"witness-{os.urandom(4).hex()}"
        assert witness.reply("room.join", room=room)["ok"]
        said = witness.reply("message.create", room=room, content="still here", respond="never")
        assert said["ok"], said
    assert server.process.poll() is None, "the server is gone"
    bad = [line for line in log_lines(server) if line["level"] in {"error", "critical"} or "exception" in line]
    assert bad == []


def metric(server: Server, name: str) -> float:
    """The value of a metric, named with its labels as the text format has it; 0 where there is none yet."""
    with urlopen(f"{server.url}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
    values = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return next((float(value) for found, _, value in values if found == name), 0.0)
