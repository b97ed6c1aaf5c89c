"""A decoded command to whoever carries it out, and its answer back. The same for every transport.

Order of checks: shape (core/wire.py), who may (core/session.py), what this version serves,
then the room's own line. Commands of one connection for one room are decided in the order
they were sent, because each takes its place in the room's line before the next is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import orjson
from anyio.abc import TaskGroup

from roomcast.core import commands
from roomcast.core.commands import Command, RoomCommand
from roomcast.core.errors import Refusal, StorageError
from roomcast.core.events import JsonObject, encode
from roomcast.core.intents import Commanded, Opened
from roomcast.core.limits import Limits
from roomcast.core.ports import Archive, Clock, IdSource, Observer, ReceiptKey
from roomcast.core.session import Member, require
from roomcast.core.wire import body_digest, decode
from roomcast.room.hub import Hub
from roomcast.room.room import Room
from roomcast.subscriber.desk import Desk, Replier
from roomcast.subscriber.pump import Pump

__all__ = ["Authenticator", "Caller", "Dispatch"]


class Authenticator(Protocol):
    """Checks a token in mid-connection."""

    def authenticate(self, caller: Caller, token: str) -> JsonObject:
        """Take over the member that `token` stands for; `{member, expires_at}`. Raises `Refusal`."""
        ...


@dataclass(slots=True)
class Caller:
    """Whoever sends a command.

    Attributes:
        pump: The connection to subscribe with; None for a request that has one answer only.
        authenticated: Whether it is proven that the member speaks; until then only `session.*` is served.
        joining: Rooms whose joins are under way.
    """

    member: Member
    pump: Pump | None = None
    authenticated: bool = False
    joining: set[str] = field(default_factory=set[str])


class Dispatch:
    """Carries commands out."""

    def __init__(
        self,
        *,
        hub: Hub,
        desk: Desk,
        archive: Archive,
        authenticator: Authenticator,
        tasks: TaskGroup,
        limits: Limits,
        clock: Clock,
        new_id: IdSource,
        observer: Observer,
    ) -> None:
        self.hub = hub
        self.desk = desk
        self._archive = archive
        self._authenticator = authenticator
        self._tasks = tasks
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._observer = observer

    def handle(self, caller: Caller, body: JsonObject, answer: Replier) -> None:
        """Carry out one command; `answer` is called once, now or later.

        Raises:
            Refusal: Before anything was done.
        """
        command = decode(body)
        counted = self._counting(command, answer)
        try:
            if not caller.authenticated and isinstance(command, RoomCommand):
                raise Refusal("unauthenticated", "authenticate first: send session.authenticate with a token")
            require(caller.member, command.type)
            if isinstance(command, commands.NOT_YET):
                raise Refusal("not_supported", f"{command.type} is not served yet", param="type")
            self._carry_out(caller, command, body, counted)
        except Refusal as refusal:
            counted(refusal)

    def _carry_out(self, caller: Caller, command: Command, body: JsonObject, answer: Replier) -> None:
        match command:
            case commands.SessionPing():
                answer(encode({"at": self._clock.now_ms()}))
            case commands.SessionAuthenticate(token=token):
                answer(encode(self._authenticator.authenticate(caller, token)))
            case commands.RoomJoin():
                self._join(caller, command, answer)
            case commands.RoomLeave():
                self._with_pump(caller, command, answer, self._leave)
            case commands.PresenceUpdate():
                self._with_pump(caller, command, answer, self._presence)
            case commands.HistoryList():
                self._tasks.start_soon(self._history, command, answer, name="history.list")
            case RoomCommand():
                self._commit(caller, command, body, answer)
            case _:
                raise Refusal("not_supported", f"{command.type} is not served here", param="type")

    # -- commands that change a log -------------------------------------------------------------

    def _commit(self, caller: Caller, command: RoomCommand, body: JsonObject, answer: Replier) -> None:
        intent = Commanded(command, caller.member, self._new_id("msg"), self._new_id("resp"))
        key = ReceiptKey(command.room, caller.member.id, command.id)
        self.hub.room(command.room).command(intent, key, body_digest(body), answer)

    # -- coming and going -----------------------------------------------------------------------

    def _join(self, caller: Caller, command: commands.RoomJoin, answer: Replier) -> None:
        self.desk.check(command)
        pump = caller.pump
        if pump is not None:
            joined = pump.subscribers.keys() | caller.joining
            if command.room not in joined and len(joined) >= self._limits.rooms_per_connection:
                raise Refusal("rate_limited", "this connection has joined as many rooms as it may", param="room")
            caller.joining.add(command.room)
        room = self.hub.room(command.room)

        def opened(outcome: bytes | Refusal) -> None:
            caller.joining.discard(command.room)
            if isinstance(outcome, Refusal):
                answer(outcome)
            elif pump is None:
                answer(encode(self.desk.look(room, caller.member, command)))
            elif not pump.closed:
                self.desk.join(pump, room, command, answer)

        room.visit(opened, opened_by=Opened(caller.member))

    def _with_pump(
        self,
        caller: Caller,
        command: RoomCommand,
        answer: Replier,
        act: Callable[[Pump, Room, RoomCommand], JsonObject],
    ) -> None:
        """Act when the command's turn in the room's line has come."""
        pump = caller.pump
        if pump is None:
            raise Refusal("not_joined", "this needs a connection that has joined the room", param="room")
        room = self.hub.room(command.room)

        def turn(outcome: bytes | Refusal) -> None:
            try:
                answer(outcome if isinstance(outcome, Refusal) else encode(act(pump, room, command)))
            except Refusal as refusal:
                answer(refusal)

        room.visit(turn)

    def _leave(self, pump: Pump, room: Room, command: RoomCommand) -> JsonObject:
        if not self.desk.leave(pump, room):
            raise Refusal("not_joined", "this connection has not joined the room", param="room")
        return {}

    def _presence(self, pump: Pump, room: Room, command: RoomCommand) -> JsonObject:
        assert isinstance(command, commands.PresenceUpdate)
        self.desk.update_presence(pump, room, command)
        return {}

    # -- reading --------------------------------------------------------------------------------

    async def _history(self, command: commands.HistoryList, answer: Replier) -> None:
        await self.hub.wait_in_line(command.room)  # it sees what its sender sent before
        try:
            answer(encode(await self.history(command.room, command.before, command.limit)))
        except Refusal as refusal:
            answer(refusal)

    async def history(self, room: str, before: str | None, limit: int) -> JsonObject:
        """`{items, has_more}`, newest first. Raises `Refusal`: room_not_found, item_not_found, unavailable."""
        try:
            if not await self.hub.exists(room):
                raise Refusal("room_not_found", "there is no such room", param="room")
            limit = min(limit, self._limits.history_page_items)
            found = await self._archive.items(room, before, limit + 1)
        except StorageError:
            raise Refusal("unavailable", "the store does not answer; try again", retry_after_ms=1_000) from None
        if found is None:
            raise Refusal("item_not_found", "there is no such item in this room", param="before")
        page: list[orjson.Fragment] = []
        space = self._limits.snapshot_items_bytes
        for data in found[:limit]:
            space -= len(data)
            if space < 0 and page:
                break
            page.append(orjson.Fragment(data))
        return {"items": page, "has_more": len(found) > len(page)}

    def _counting(self, command: Command, answer: Replier) -> Replier:
        def counted(outcome: bytes | Refusal | Callable[[], bytes]) -> None:
            code = outcome.code if isinstance(outcome, Refusal) else "ok"
            self._observer.count("roomcast_commands_total", command=command.type, outcome=code)
            answer(outcome)

        return counted
