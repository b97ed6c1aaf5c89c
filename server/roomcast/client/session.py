"""Follow one room over as many connections as it takes.

              ┌──────────────── comeback.py says when ◄───────────────┐
              v                                                       │
    connect ──► join {after: where we stand} ──► follower.take ──► lost

Two tasks live as long as a connection: one reads, one writes. Nothing is lost with them:
positions are in the follower, unanswered commands in the outbox, untaken events in the inbox.

Not here: what a message means (follower.py), and the socket (link.py).
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import anyio
from anyio.abc import TaskGroup

from roomcast.client.address import Address
from roomcast.client.comeback import Backoff, Fate, LinkLost, Loss, fate
from roomcast.client.errors import ClientError, NotAllowed, Refused, RoomClosed, Unreachable
from roomcast.client.events import Status
from roomcast.client.follower import Follower
from roomcast.client.inbox import Inbox
from roomcast.client.link import Link, open_link
from roomcast.client.outbox import Outbox

__all__ = ["Credentials", "Session", "TokenSource"]

TokenSource = str | Callable[[], str | Awaitable[str]]
"""A token, or what makes one: called for every connection and when one is about to expire."""

JOIN_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we say that we are."""

    token: TokenSource | None = None
    member: str | None = None
    name: str | None = None

    @property
    def renewable(self) -> bool:
        """Whether there can be another token than the last."""
        return callable(self.token)

    async def bearer(self) -> str | None:
        """The token of this moment.

        Raises:
            LinkLost: The caller's function failed.
        """
        if self.token is None or isinstance(self.token, str):
            return self.token
        try:
            made = self.token()
            return await made if inspect.isawaitable(made) else made
        except Exception as error:  # the caller's own code may raise anything
            raise LinkLost(Loss(f"no token could be made: {error!r}")) from error


class Session:
    """The connections behind a room.

    Args:
        backoff: When to come back.
        on_status: Called with each new status; must not wait.

    Attributes:
        joined: Set after the first join, and when there will be none.
        failure: Why the room cannot be followed any further.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials,
        follower: Follower,
        *,
        inbox: Inbox,
        outbox: Outbox,
        backoff: Backoff,
        on_status: Callable[[Status], None] | None,
    ) -> None:
        self.status = Status.CONNECTING
        self.joined = anyio.Event()
        self.failure: ClientError | None = None
        self._address, self._credentials, self._follower = address, credentials, follower
        self._inbox, self._outbox = inbox, outbox
        self._backoff, self._on_status = backoff, on_status
        self._tasks: TaskGroup | None = None
        self._renewed = False
        self._changed = anyio.Event()

    async def run(self, wait_s: float) -> None:
        """Follow the room until it is closed for good, or this is cancelled.

        Args:
            wait_s: How long to go on trying before the first join; 0 tries once.
        """
        give_up_at, attempt = anyio.current_time() + wait_s, 0
        while True:
            self._follower.fruitful = False
            lost = await self._connection()
            failure = self._ending(lost.loss, give_up_at)
            if failure is not None:
                failure.__cause__ = lost.__cause__
                return self._end(failure)
            self._set_status(Status.CONNECTING if self._follower.first is None else Status.RECONNECTING)
            attempt = 0 if self._follower.fruitful else attempt
            await anyio.sleep(self._backoff.delay_s(attempt, random.random(), self._as_asked(lost.loss)))
            attempt += 1

    async def changed(self) -> None:
        """Wait until something has arrived, keeping the socket being read meanwhile.

        Raises:
            ClientError: The room is closed.
        """
        if self.failure is not None:
            raise self.failure
        with self._inbox.hurry():
            await self._changed.wait()

    def resync(self) -> None:
        """Begin again with a snapshot, because the reader's place was given up."""
        self._follower.forget()
        if self._tasks is not None:
            self._follower.join()

    # ---- one connection

    async def _connection(self) -> LinkLost:
        """Make one connection and follow the room on it; return how it ended."""
        query = {"member": self._credentials.member, "name": self._credentials.name}
        try:
            token = await self._credentials.bearer()
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with open_link(self._address, headers, query) as link:
                return await self._follow(link)
        except LinkLost as refused:
            return refused

    async def _follow(self, link: Link) -> LinkLost:
        lost: list[LinkLost] = []
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                self._follower.join()
                tasks.start_soon(self._write, link)
                lost.append(await self._read(link))
            finally:
                self._tasks = None
                self._outbox.close()
                tasks.cancel_scope.cancel()
        return lost[0]

    async def _write(self, link: Link) -> None:
        while True:
            frame = await self._outbox.next_frame()
            try:
                await link.send(frame)
            except LinkLost:
                return  # the reader is told why

    async def _read(self, link: Link) -> LinkLost:
        try:
            while True:
                if self._follower.joining:
                    with anyio.fail_after(JOIN_TIMEOUT_S):
                        while self._follower.joining:
                            self._take(await link.receive())
                else:
                    await self._inbox.writable()
                    self._take(await link.receive())
        except LinkLost as lost:
            return lost
        except TimeoutError:
            return LinkLost(Loss("the join was not answered in time"))

    def _take(self, message: dict[str, object]) -> None:
        self._follower.take(message)
        if self._follower.first is not None and not self._follower.joining:
            self._renewed = False
            self.joined.set()
            self._set_status(Status.LIVE if self._follower.live else Status.REPLAYING)
        if self._follower.token_expires:
            self._follower.token_expires = False
            if self._credentials.renewable and self._tasks is not None:
                self._tasks.start_soon(self._renew)
        self._changed.set()
        self._changed = anyio.Event()

    async def _renew(self) -> None:
        """Hand in a new token on the open connection; if that fails, it is closed with 4401."""
        try:
            await self._outbox.ask("session.authenticate", {"token": await self._credentials.bearer()})
        except (LinkLost, Refused):
            return

    # ---- how it ends

    def _ending(self, loss: Loss, give_up_at: float) -> ClientError | None:
        """Say what the user is told if this was the end; None means come back."""
        match fate(loss):
            case Fate.NEVER:
                barred = loss.close_code == 4403 or loss.status == 403
                kind = NotAllowed if barred else RoomClosed
                return kind(loss.reason, close_code=loss.close_code, status=loss.status)
            case Fate.NEW_TOKEN if self._renewed or not self._credentials.renewable:
                return NotAllowed(loss.reason, close_code=loss.close_code, status=loss.status)
            case Fate.NEW_TOKEN:
                self._renewed = True
                return None
            case _:
                in_vain = self._follower.first is None and anyio.current_time() >= give_up_at
                return Unreachable(loss.reason) if in_vain else None

    def _as_asked(self, loss: Loss) -> Loss:
        """Put what a draining server asked us to wait into the loss that followed."""
        asked_s, self._follower.come_back_s = self._follower.come_back_s, None
        return loss if asked_s is None else replace(loss, retry_after_s=asked_s)

    def _end(self, failure: ClientError) -> None:
        self.failure = failure
        self._inbox.end(failure)
        self._outbox.end(failure)
        self._set_status(Status.CLOSED)
        self.joined.set()
        self._changed.set()

    def _set_status(self, status: Status) -> None:
        if status is not self.status:
            self.status = status
            if self._on_status is not None:
                self._on_status(status)
