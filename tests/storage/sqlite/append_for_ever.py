"""A process that appends to a room until it is killed, and says what it was told is committed."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import anyio
import structlog

from roomcast.core.ports import Committed
from roomcast.storage import open_sqlite
from tests.conformance.examples import ManualClock, a_batch


async def main(path: Path) -> None:
    async with open_sqlite(path, clock=ManualClock()) as store:
        head = await store.head("lobby")
        seq = head.seq if head else 0
        while True:
            (outcome,) = await store.append([a_batch(on=seq, events=1 + seq % 3, sync=seq % 7 == 0)])
            assert isinstance(outcome, Committed)
            seq = outcome.seq
            sys.stdout.write(f"{seq}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    anyio.run(main, Path(sys.argv[1]))
