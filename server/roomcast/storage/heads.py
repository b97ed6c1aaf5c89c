"""Telling followers how heads move, within one process.

    append --publish--> HeadBoard --newest of each room--> follower, follower, ...

Invariants
    H1  Publishing never waits for a follower.
    H2  A follower holds one head a room at most: a newer one takes the place of the older.

For one thread: the event loop's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio

from roomcast.core.ports import Head

__all__ = ["HeadBoard"]


class HeadBoard:
    """Where writers post heads and followers read them."""

    def __init__(self) -> None:
        self._followers: set[_Follower] = set()

    def publish(self, heads: Iterable[Head]) -> None:
        """Tell every follower; returns at once."""
        for head in heads:
            for follower in self._followers:
                follower.tell(head)

    @asynccontextmanager
    async def follow(self) -> AsyncGenerator[AsyncIterator[Head]]:
        """Follow from now on. The iterator ends when the board closes."""
        follower = _Follower()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def close(self) -> None:
        """Let every follower end after what it has not read yet."""
        for follower in self._followers:
            follower.close()


class _Follower(AsyncIterator[Head]):
    def __init__(self) -> None:
        self._unread: dict[str, Head] = {}
        self._news = anyio.Event()
        self._closed = False

    def tell(self, head: Head) -> None:
        self._unread[head.room] = head
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def __anext__(self) -> Head:
        while not self._unread:
            if self._closed:
                raise StopAsyncIteration
            self._news = anyio.Event()
            await self._news.wait()
        return self._unread.pop(next(iter(self._unread)))
