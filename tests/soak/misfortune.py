"""What goes wrong, and when: all of it from the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio

from tests.soak.report import Tally
from tests.support.restarting import Serving
from tests.support.visitor import Visitor

__all__ = ["end_the_server", "trouble_the_visitors"]


async def trouble_the_visitors(visitors: Sequence[Visitor], dice: random.Random, tally: Tally) -> None:
    """Cut and stall visitors, until this is cancelled."""
    while True:
        await anyio.sleep(dice.uniform(1, 8))
        match dice.choice(("storm", "storm in a room", "stall", "stall")):
            case "storm":
                struck = list(visitors)
            case "storm in a room":
                room = dice.choice(visitors).room
                struck = [visitor for visitor in visitors if visitor.room == room]
            case _:
                tally.faults["stalled readers"] += 1
                dice.choice(visitors).stall()
                continue
        tally.faults["resets"] += sum(visitor.here for visitor in struck)
        for visitor in struck:
            visitor.drop()


async def end_the_server(serving: Serving, dice: random.Random, within_s: float, tally: Tally) -> None:
    """Once or twice within this time, kill the server or ask it to stop; the next one starts at once."""
    for _ in range(dice.choice((1, 1, 2))):
        await anyio.sleep(dice.uniform(0.1, 0.5) * within_s)
        if dice.random() < 0.5:
            tally.faults["kill -9"] += 1
            await serving.crash()
        else:
            tally.faults["SIGTERM"] += 1
            status = await serving.restart()
            if status != 0:
                tally.findings.append(f"a server that was asked to stop ended with status {status}")
