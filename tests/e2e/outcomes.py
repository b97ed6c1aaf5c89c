"""How one answer of a model service ended for the members of a room, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TypeAlias

from tests.e2e.conftest import Bench
from tests.support.hostile_upstream import Chunk, Script, stream
from tests.support.model_streams import text_stream
from tests.support.wire_client import Heard, WireClient

__all__ = ["HUNG_UP_MS", "Make", "deltas", "opening", "outcome", "said", "verdict"]

HUNG_UP_MS = 1_000 + 5_000
"""How soon the model service is hung up on. The promise is 1,000, and test_reconnects.py holds most of many cancels to
it; a machine that stalls for some seconds may do so in the middle of any one of them."""
Make: TypeAlias = Callable[[str], Script]
"""Makes the script for one of the APIs."""


def said(api: str, *texts: str) -> list[bytes]:
    """Texts, and no end."""
    return text_stream(api, *texts, finished=False)


def opening(api: str) -> list[bytes]:
    """What comes before the first text."""
    return said(api, "x")[:-1]


def deltas(api: str, text: str, number: int) -> list[Chunk]:
    """This often the same text."""
    return [Chunk(data) for data in said(api, *[text] * number)[-number:]]


async def outcome(bench: Bench, ann: WireClient, bob: WireClient, script: Script) -> tuple[Heard, str]:
    """How one answer ended and what it said, the same for both; the next prompt is then answered well."""
    bench.upstream.script(script)
    asked = await ann.ask("lobby", "please")
    done = await ann.ending(asked["response_id"])
    bench.upstream.script(stream(*text_stream(bench.api, "All", " is well.")))
    again = await ann.ask("lobby", "and now?")
    assert (await ann.ending(again["response_id"]))["type"] == "response.completed"
    assert await bob.ending(again["response_id"]) == await ann.ending(again["response_id"])
    assert ann.text(again["response_id"]) == bob.text(again["response_id"]) == "All is well."
    assert await bob.ending(asked["response_id"]) == done
    text = ann.text(asked["response_id"])
    assert bob.text(asked["response_id"]) == text
    assert done["digest"] == "sha256:" + sha256(text.encode()).hexdigest()
    shown = "".join(
        part["text"] for item in done["response"]["output"] for part in item.get("content", ()) if "text" in part
    )
    assert shown == text
    assert sum("digest" in got and got["response_id"] == asked["response_id"] for got in ann.heard) == 1
    return done, text


def verdict(done: Heard) -> str:
    """Type and reason of a terminal, in short."""
    response: Heard = done["response"]
    error: Heard = response.get("error") or {}
    details: Heard = response.get("incomplete_details") or {}
    why = error.get("code") or details.get("reason")
    kind: str = done["type"].partition(".")[2]
    return f"{kind} {why}" if why else kind
