"""Who is in the rooms: visitors who come and go, and askers who ask, stop and wait."""

from __future__ import annotations

import random

import anyio

from roomcast.client import Backoff, ClientError, Refused, Room, connect
from tests.soak.report import Tally
from tests.support.visitor import Visitor

__all__ = ["MODES", "ask_on", "come_and_go"]

MODES = ("enqueue", "enqueue", "reject", "interrupt", "latest", "merge", "debounce")
PROMPTS = ("short", "a list", "a table", "emoji", "tell me a long story", "count to 300")
FAULTS = (
    *("429 retry_after_ms=50", "500", "503", "html status=502", "empty", "mute", "context_length_exceeded"),
    *("cut after_tokens=5", "truncate after_tokens=9", "eof after_tokens=7", "silence after_tokens=4"),
    *("heartbeat after_tokens=4", "stall for_ms=1500", "drip count=80 every_ms=10", "bytewise", "malformed"),
    *("odd_sse", "split_emoji", "lone_surrogate", "duplicate", "huge_delta size_bytes=300000", "unknown_event"),
    *("endless_line size_bytes=6000000", "gzip_bomb", "json", "after_finish", "done_only", "error", "failed"),
    *("content_filter", "refusal", "reasoning", "tool_call", "redirect"),
)
STAY_S, AWAY_S = 12.0, 1.0
ENDS_WITHIN_S = 120.0
BACKOFF = Backoff(cap_s=2.0)


async def come_and_go(visitor: Visitor, dice: random.Random) -> None:
    """Come, stay for a while, vanish; now and then without a cursor; until this is cancelled."""
    while True:
        with anyio.move_on_after(dice.uniform(0.1, STAY_S)):
            await visitor.visit(begin_anew=dice.random() < 0.15)
        await anyio.sleep(max(dice.uniform(0, AWAY_S), visitor.back_in_s(BACKOFF)))


async def ask_on(url: str, room_name: str, dice: random.Random, closing: anyio.Event, tally: Tally) -> list[str]:
    """Ask until the room closes; returns the responses that were promised."""
    promised: list[str] = []
    try:
        async with (
            connect(url, room_name, member=f"asker-{room_name}", wait_s=60, backoff=BACKOFF) as room,
            anyio.create_task_group() as reading,
        ):
            reading.start_soon(_read, room)
            while not closing.is_set():
                promised += await _burst(room, dice, tally)
            reading.cancel_scope.cancel()
    except* ClientError as errors:
        tally.findings.append(f"{room_name}: the asker was sent away: {errors.exceptions}")
    return promised


async def _read(room: Room) -> None:
    async for _ in room:
        pass


async def _burst(room: Room, dice: random.Random, tally: Tally) -> list[str]:
    """Ask once or a few times, perhaps stop it, and wait until all of it has ended."""
    promised: list[str] = []
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        fault = f"!fault {dice.choice(FAULTS)}\n" if dice.random() < 0.3 else ""
        tally.faults["upstream"] += bool(fault)
        try:
            asked = await room.ask(fault + dice.choice(PROMPTS), on_busy=dice.choice(MODES))
        except Refused as refused:
            tally.refusals[refused.code] += 1
            await anyio.sleep((refused.retry_after_ms or 100) / 1_000)
            continue
        if asked.response_id is not None:
            promised.append(asked.response_id)
        await anyio.sleep(dice.uniform(0, 0.4))
    if dice.random() < 0.3:
        await anyio.sleep(dice.uniform(0, 2))
        try:
            await room.cancel(dice.choice([*promised, None]))
        except Refused as refused:
            tally.refusals[refused.code] += 1
    for response_id in promised:
        with anyio.move_on_after(ENDS_WITHIN_S) as patience:
            await room.wait(response_id)
        if patience.cancelled_caught:
            tally.findings.append(f"{room.name}: {response_id} did not end within {ENDS_WITHIN_S:g} s")
    return promised
