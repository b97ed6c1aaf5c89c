"""A room as a program holds it: events to read, commands to send.

    async with connect("http://127.0.0.1:8080", room="lobby", name="Ada") as room:
        asked = await room.ask("Why is the sky blue?")
        async for piece in room.text(asked):
            print(piece, end="")

    async with connect("http://127.0.0.1:8080", room="lobby") as room:
        transcript = Transcript(room.snapshot)
        async for event in room:            # each event once, over all reconnections
            transcript.apply(event)

Invariants
    R1  `cursor` is the position of who iterates: what was handed over, not what has arrived.
    R2  Leaving the `async with` ends every task and socket within a few seconds.

Not here: how events get here (session.py, follower.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio

from roomcast.client.address import Address
from roomcast.client.answers import Answer
from roomcast.client.comeback import Backoff
from roomcast.client.errors import Refused
from roomcast.client.events import Asked, Page, RoomEvent, Status, Stopped
from roomcast.client.follower import Follower
from roomcast.client.inbox import Inbox
from roomcast.client.outbox import Outbox, fresh_id
from roomcast.client.session import Credentials, Session, TokenSource
from roomcast.core.events import Cursor, JsonObject

__all__ = ["Room", "connect"]


class Room:
    """One room, followed until the `async with` of `connect` is left.

    Iterating gives every event once, and signals and resets between them; one reader at a
    time. Commands, `text` and `wait` may be used from any number of tasks beside it, and in the
    middle of the loop.
    """

    def __init__(self, name: str, session: Session, follower: Follower, inbox: Inbox, outbox: Outbox) -> None:
        self.name = name
        self._session, self._follower, self._inbox, self._outbox = session, follower, inbox, outbox
        first = follower.first
        assert first is not None, "a room is made after its first join"
        self._snapshot, self._cursor = first.snapshot, first.at

    # ---- what is known

    @property
    def snapshot(self) -> JsonObject | None:
        """The state that the events since follow: of the first join, or of the last reset.

        None when the room was joined with `after` and goes on from there.
        """
        return self._snapshot

    @property
    def cursor(self) -> Cursor:
        """Everything up to here was handed over; `connect(after=…)` goes on from it."""
        return self._cursor

    @property
    def behind(self) -> int:
        """How many numbers have arrived and were not handed over yet."""
        arrived = self._follower.cursor
        return 0 if arrived is None else max(0, arrived.seq - self._cursor.seq)

    @property
    def members(self) -> list[JsonObject]:
        """Who is here: `{id, name, role, state?}` each, 200 at most."""
        return self._follower.roster.members

    @property
    def member_count(self) -> int:
        """How many are here."""
        return self._follower.roster.count

    @property
    def you(self) -> JsonObject:
        """Who the server says that we are."""
        return self._follower.you

    @property
    def status(self) -> Status:
        """How the room stands to its server at this moment."""
        return self._session.status

    @property
    def running(self) -> Sequence[Answer]:
        """Answers that are queued or under way, as far as they have arrived."""
        return self._follower.answers.open

    # ---- reading

    def __aiter__(self) -> AsyncIterator[RoomEvent]:
        return self

    async def __anext__(self) -> RoomEvent:
        """Give the next event; waits for ever in a silent room.

        Raises:
            RoomClosed: The room cannot be followed any further.
        """
        while (arrival := await self._inbox.take()) is None:
            self._session.resync()
        event, self._cursor = arrival
        if event.is_reset:
            self._snapshot = event.data["snapshot"]
        return event

    async def text(self, response: Asked | str | None) -> AsyncGenerator[str]:
        """Give the text of one answer piece by piece, from its beginning to its end.

        If the model had to start over, the text of the new attempt follows the old one; what
        counts in the end is `(await room.answer(response)).text`.

        Args:
            response: What `ask` gave, or the id of a response; None is a `ValueError`.
        """
        seen: dict[tuple[str, int], int] = {}
        async for answer in self._watch(_response_id(response)):
            piece = answer.unread(seen)
            if piece:
                yield piece

    async def wait(self, response: Asked | str | None) -> RoomEvent:
        """Wait until a response has ended, and give the event that ended it.

        An ending that was only seen in a snapshot is given as an event without `seq`.

        Raises:
            Refused: `response_not_found`: the room began anew and does not know it any more.
        """
        terminal = (await self.answer(response)).terminal
        assert terminal is not None, "an answer that ended has a terminal"
        return terminal

    async def answer(self, response: Asked | str | None) -> Answer:
        """Wait until a response has ended, and give the whole answer; raises as `wait` does."""
        async for answer in self._watch(_response_id(response)):
            if answer.ended:
                return answer
        raise AssertionError("watching ends with the answer")

    async def _watch(self, response_id: str) -> AsyncGenerator[Answer]:
        """Give the answer each time something has arrived, last when it has ended."""
        answers = self._follower.answers
        resets = answers.resets
        while True:
            answer = answers.find(response_id)
            if answer is not None:
                yield answer
                if answer.ended:
                    return
            elif answers.resets != resets:
                raise Refused("response_not_found", f"the room does not know {response_id} any more")
            await self._session.changed()

    # ---- commands

    async def command(self, command_type: str, /, **fields: Any) -> JsonObject:
        """Send any command of the protocol and return the result of its reply.

        Sent again under the same id after a reconnection, until the reply is here.

        Raises:
            Refused: The server says no; nothing has happened.
            RoomClosed: The room cannot be followed any further.
        """
        room = {} if command_type.startswith("session.") else {"room": self.name}
        with self._inbox.hurry():
            return await self._outbox.ask(command_type, room | fields)

    async def ask(
        self, content: str | Sequence[JsonObject], *, respond: Literal["always", "auto"] = "always", **fields: Any
    ) -> Asked:
        """Say something that the model is to answer.

        Args:
            content: Text, or OpenAI input parts.
            respond: With `auto` the room's settings say whether the model answers.
            fields: Further fields of `message.create`: `parent_id`, `profile`, `on_busy`.
        """
        return await self._say(content, respond, fields)

    async def send(self, content: str | Sequence[JsonObject], **fields: Any) -> Asked:
        """Say something to the others; the model does not answer."""
        return await self._say(content, "never", fields)

    async def cancel(
        self, response_id: str | None = None, reason: str | None = None, *, discard: bool | None = None
    ) -> Stopped:
        """Stop a response: the running one, unless `response_id` names another."""
        named = {"response_id": response_id, "reason": reason, "discard": discard}
        result = await self.command("response.cancel", **_given(named))
        return Stopped(result["response_id"], result["status"])

    async def history(self, before: str | None = None, limit: int = 50) -> Page:
        """Give a page of items, newest first: those older than item `before`."""
        result = await self.command("history.list", **_given({"before": before, "limit": limit}))
        return Page(result["items"], result["has_more"])

    async def presence(self, state: JsonObject) -> None:
        """Show the others what we are doing, for example `{"typing": True}`."""
        await self.command("presence.update", state=state)

    async def _say(
        self, content: str | Sequence[JsonObject], respond: Literal["always", "auto", "never"], fields: JsonObject
    ) -> Asked:
        return Asked.from_json(await self.command("message.create", content=content, respond=respond, **_given(fields)))


def _response_id(response: Asked | str | None) -> str:
    found = response.response_id if isinstance(response, Asked) else response
    if found is None:
        raise ValueError("nobody was asked to answer this message")
    return found


def _given(fields: JsonObject) -> JsonObject:
    """Leave out what was not given: the protocol knows no null here."""
    return {name: value for name, value in fields.items() if value is not None}


@asynccontextmanager
async def connect(
    url: str,
    room: str = "lobby",
    *,
    token: TokenSource | None = None,
    member: str | None = None,
    name: str | None = None,
    include: Sequence[str] | None = None,
    on_slow: Literal["coalesce", "snapshot", "disconnect"] | None = None,
    items: int = 50,
    after: Cursor | None = None,
    wait_s: float = 0.0,
    backoff: Backoff | None = None,
    inbox: Inbox | None = None,
    on_status: Callable[[Status], None] | None = None,
) -> AsyncGenerator[Room]:
    """Join a room, and stay in it over all lost connections.

    Args:
        url: Address of the server: http(s)://host:port, or ws(s)://host:port/v1/ws.
        room: Name of the room.
        token: Bearer token, or a function (async or not) that makes one.
        member: Stable identity, where the server does not ask for tokens; a random one by default.
        name: Display name.
        include: Optional kinds of events: `reasoning`, `tools`, `annotations`, `media`; default all.
        on_slow: What the server does when we fall behind.
        items: How many of the newest items the snapshot has.
        after: Go on from here instead of beginning with a snapshot.
        wait_s: How long to go on trying before the first join; 0 tries once.
        backoff: When to come back after a loss.
        inbox: Queue between the socket and the reader, to set its bounds.
        on_status: Called with each new status; must not wait.

    Raises:
        Unreachable: Nobody answered in time.
        RoomClosed: We are not let in (`NotAllowed`), or there is no such room.
        ValueError: `url` is no address.
    """
    if member is None and token is None:
        member = fresh_id("py")  # commands are known by member and id, so it must survive a reconnection
    fields = _given({"items": items, "include": None if include is None else list(include), "on_slow": on_slow})
    inbox = inbox if inbox is not None else Inbox()
    outbox = Outbox()
    follower = Follower(room, fields, after, inbox, outbox)
    session = Session(
        Address.parse(url),
        Credentials(token, member, name),
        follower,
        inbox=inbox,
        outbox=outbox,
        backoff=backoff if backoff is not None else Backoff(),
        on_status=on_status,
    )
    raised: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run, wait_s)
        try:
            await session.joined.wait()
            if session.failure is not None:
                raise session.failure
            yield Room(room, session, follower, inbox, outbox)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raised = error  # raised again outside, so that no group is wrapped around it
        tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised
