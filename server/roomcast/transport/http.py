"""The room over HTTP: commands, reading, and what operators ask.

    POST /v1/rooms/{room}/commands     any command; the reply is the body, its code the status
    GET  /v1/rooms, /v1/rooms/{room}, …/items, …/events
    GET  /livez, /readyz, /metrics
    GET  /, /r/{room}, /assets/…       the page (pages.py)

Not here: who may ask (admission.py, guard.py), what commands do (dispatch.py), events (sse.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from roomcast.core.commands import COMMAND_TYPES, HistoryList, RoomCommand, RoomJoin
from roomcast.core.errors import Refusal, StorageError
from roomcast.core.events import JsonObject, encode
from roomcast.core.ids import ROOM_NAME
from roomcast.core.wire import command_id, decode, error, parse, reply, reply_error
from roomcast.transport.answers import EXCEPTION_HANDLERS, answer_refusal, json_answer
from roomcast.transport.asking import Asking
from roomcast.transport.guard import Guard
from roomcast.transport.origins import is_loopback_host
from roomcast.transport.pages import page_routes
from roomcast.transport.query import integer, read_query
from roomcast.transport.rejected import Rejected
from roomcast.transport.sse import Events
from roomcast.transport.wheel import Services

__all__ = ["build_app"]

_METRICS_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
_ROOMS_PAGE: Final = 500

_LATER: Final = (
    ("/v1/rooms/{room}/search", "GET"),
    ("/v1/rooms/{room}/export", "GET"),
    ("/v1/tickets", "POST"),
    ("/dashboard", "GET"),
    ("/asyncapi.json", "GET"),
    ("/openapi.json", "GET"),
)
"""Addresses that the protocol names and this version does not serve."""


def build_app(services: Services, *, ready: Callable[[], bool], metrics: Callable[[], bytes]) -> Starlette:
    """The application behind the port.

    Args:
        services: What it works with.
        ready: Whether the server serves; false while it starts, and from the drain on.
        metrics: Renders the metrics in Prometheus' text format.
    """
    asking = Asking(services, ready)
    api, operators = _Api(services, asking), _Operators(services, asking, metrics)
    routes = [
        Route("/v1/rooms", api.rooms),
        Route("/v1/rooms/{room}", api.room),
        Route("/v1/rooms/{room}/items", api.items),
        Route("/v1/rooms/{room}/commands", api.command, methods=["POST"]),
        Route("/v1/rooms/{room}/events", Events(services, asking), methods=["GET"]),
        Route("/v1/ws", _upgrade),
        Route("/livez", operators.alive),
        Route("/readyz", operators.ready),
        Route("/metrics", operators.metrics),
        *(Route(path, _later, methods=[method]) for path, method in _LATER),
        *page_routes(),
    ]
    middleware = [Middleware(Guard, admission=services.admission)]
    if services.admission.allowed_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=services.admission.allowed_origins,
                allow_methods=("GET", "POST"),
                allow_headers=("Authorization", "Content-Type", "Last-Event-ID"),
            )
        )
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=EXCEPTION_HANDLERS)
    app.router.redirect_slashes = False
    return app


class _Api:
    """Rooms."""

    def __init__(self, services: Services, asking: Asking) -> None:
        self._services = services
        self._asking = asking
        self._dispatch = services.dispatch

    async def command(self, request: Request) -> Response:
        """Carry out one command, and answer when it is committed."""
        caller, address = self._asking.who(request)
        self._services.admission.admit_request(address)
        read_query(request.url.query, known=frozenset())
        reply_to: str | None = None
        outcomes: list[bytes | Refusal] = []
        answered = anyio.Event()

        def answer(outcome: bytes | Refusal | Callable[[], bytes]) -> None:
            outcomes.append(outcome() if callable(outcome) else outcome)
            answered.set()

        try:
            body = parse(await _read_text(request, self._services))
            reply_to = _reply_to(body)
            self._dispatch.handle(caller, _in_room(body, request.path_params["room"]), answer)
            await answered.wait()
            outcome = outcomes[0]
        except Refusal as refusal:
            outcome = refusal
        if not isinstance(outcome, Refusal):
            assert reply_to is not None, "a command without an id is refused"
            return json_answer(reply(reply_to, outcome))
        return answer_refusal(outcome, error(outcome) if reply_to is None else reply_error(reply_to, outcome))

    async def rooms(self, request: Request) -> Response:
        """The rooms, by name."""
        self._asking.who(request)
        asked = read_query(request.url.query, known=frozenset({"after", "limit"}))
        after, limit = asked.get("after"), integer(asked.get("limit", "50"))
        if after is not None and not ROOM_NAME.fullmatch(after):
            raise Refusal("invalid_value", "after is the name of a room", param="after")
        if not isinstance(limit, int):
            raise Refusal("invalid_type", "limit is a number", param="limit")
        if not 1 <= limit <= _ROOMS_PAGE:
            raise Refusal("invalid_value", f"limit is from 1 to {_ROOMS_PAGE}", param="limit")
        hub, desk = self._dispatch.hub, self._dispatch.desk
        try:
            cards = await hub.cards(after, limit + 1)
        except StorageError:
            raise _unavailable() from None
        names = {card.name for card in cards}
        present = {room.name: desk.fanout(room).presence.count for room in hub.loaded if room.name in names}
        shown = [
            {
                "name": card.name,
                "title": card.title,
                "epoch": card.epoch,
                "seq": card.seq,
                "running": card.unfinished,
                "member_count": present.get(card.name, 0),
            }
            for card in cards[:limit]
        ]
        return json_answer(encode({"rooms": shown, "has_more": len(cards) > limit}))

    async def room(self, request: Request) -> Response:
        """One room as it stands; it is not created by looking."""
        self._asking.who(request)
        asked = read_query(request.url.query, known=frozenset({"items"}))
        body: JsonObject = {"type": "room.join", "id": "look", "room": request.path_params["room"]}
        if "items" in asked:
            body["items"] = integer(asked["items"])
        wanted = decode(body)
        assert isinstance(wanted, RoomJoin)
        try:
            exists = await self._dispatch.hub.exists(wanted.room)
        except StorageError:
            raise _unavailable() from None
        if not exists:
            raise Refusal("room_not_found", "there is no such room", param="room")
        room = self._dispatch.hub.room(wanted.room)

        def look() -> bytes:
            epoch, seq = room.position
            fanout = self._dispatch.desk.fanout(room)
            shown = fanout.snapshot(wanted.items)
            return encode({"epoch": epoch, "seq": seq, "snapshot": shown, "member_count": fanout.presence.count})

        return json_answer(await self._asking.turn(room, look))

    async def items(self, request: Request) -> Response:
        """A page of the conversation, newest first."""
        self._asking.who(request)
        asked = read_query(request.url.query, known=frozenset({"before", "limit"}))
        body: JsonObject = {"type": "history.list", "id": "list", "room": request.path_params["room"]}
        if "before" in asked:
            body["before"] = asked["before"]
        if "limit" in asked:
            body["limit"] = integer(asked["limit"])
        wanted = decode(body)
        assert isinstance(wanted, HistoryList)
        return json_answer(encode(await self._dispatch.history(wanted.room, wanted.before, wanted.limit)))


class _Operators:
    """What is asked about the server."""

    def __init__(self, services: Services, asking: Asking, metrics: Callable[[], bytes]) -> None:
        self._services = services
        self._asking = asking
        self._metrics = metrics

    async def alive(self, request: Request) -> Response:
        """Whether the process answers at all."""
        return json_answer(b'{"status":"ok"}')

    async def ready(self, request: Request) -> Response:
        """Whether it should be sent work."""
        if self._asking.ready():
            return json_answer(b'{"status":"ok"}')
        return json_answer(b'{"status":"unavailable"}', 503, {"Retry-After": "1"})

    async def metrics(self, request: Request) -> Response:
        """Everything counted: for this machine, or for who may come in."""
        here = request.client is not None and is_loopback_host(_bracketed(request.client.host))
        if not here or "x-forwarded-for" in request.headers:
            self._asking.who(request)
        return Response(self._metrics(), media_type=None, headers={"Content-Type": _METRICS_TYPE})


async def _later(request: Request) -> Response:
    raise Refusal("not_supported", "this is documented, but not served by this version", param="path")


async def _upgrade(request: Request) -> Response:
    rejected = Rejected(426, "invalid_value", "a WebSocket is served here: upgrade the connection", param="upgrade")
    return json_answer(rejected.body, 426, {"Upgrade": "websocket", "Connection": "Upgrade"})


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _unavailable() -> Refusal:
    return Refusal("unavailable", "the store does not answer; try again", retry_after_ms=1_000)


# ---- commands --------------------------------------------------------------------------------


def _reply_to(body: JsonObject) -> str:
    """The id that the reply will carry."""
    if (found := command_id(body)) is not None:
        return found
    code = "invalid_value" if "id" in body else "missing_field"
    raise Refusal(code, "a command has an id of 1 to 64 of A-Za-z0-9_.:-", param="id")


def _in_room(body: JsonObject, room: str) -> JsonObject:
    """The command with its room, which the path may say alone."""
    kind = body.get("type")
    command = COMMAND_TYPES.get(kind) if isinstance(kind, str) else None
    if command is not None and not issubclass(command, RoomCommand):
        decode(body)
        raise Refusal("not_joined", f"{kind} belongs to a connection; a request has none", param="type")
    if body.get("room", room) != room:
        raise Refusal("invalid_value", "the path names another room", param="room")
    return {**body, "room": room}


async def _read_text(request: Request, services: Services) -> str:
    """The body of a command, if it is one: JSON, in UTF-8, not too large, in time."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal("invalid_value", "a command is sent as application/json", param="content-type")
    limit = services.limits.command_bytes
    too_large = Refusal("too_large", f"a command is at most {limit} bytes")
    length = integer(request.headers.get("content-length", "0"))
    if isinstance(length, str) or length > limit:
        raise too_large
    body = bytearray()
    try:
        with anyio.fail_after(services.limits.handshake_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
        return body.decode()
    except TimeoutError:
        raise Refusal("invalid_json", "the body did not arrive in time") from None
    except ClientDisconnect:
        raise Refusal("invalid_json", "the body did not arrive whole") from None
    except UnicodeDecodeError:
        raise Refusal("invalid_json", "the body is not UTF-8") from None
