"""Lines from standard input, without a thread that nobody can stop.

A thread that waits for a line holds the process open when everything else is over. Here the
loop waits until there is something to read; a terminal and a pipe give whole lines anyway.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

import anyio

__all__ = ["typed_lines"]

CHUNK_BYTES = 64 * 1024


async def typed_lines(descriptor: int) -> AsyncGenerator[str]:
    """Give each line without its end, and what is left at the end of the input."""
    left = b""
    while True:
        await _readable(descriptor)
        data = os.read(descriptor, CHUNK_BYTES)
        *whole, left = (left + data).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").removesuffix("\r")
        if not data:
            if left:
                yield left.decode(errors="replace")
            return


async def _readable(descriptor: int) -> None:
    try:
        await anyio.wait_readable(descriptor)
    except PermissionError:
        await anyio.lowlevel.checkpoint()  # a file on disk is always readable, and cannot be waited for
