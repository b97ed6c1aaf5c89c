"""Start the demo upstream, and decide what each request gets.

Deciding is synchronous and without I/O (`DemoServer.respond`); waiting is the business of http.py.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.abc import SocketAttribute, SocketStream

from roomcast.upstream.demo import fault_replies
from roomcast.upstream.demo.asking import Api, Ask, Rejection, ask_chat, ask_responses, count_input
from roomcast.upstream.demo.chat_wire import ChatAnswer
from roomcast.upstream.demo.fault_streams import disturbed
from roomcast.upstream.demo.faults import Fault, FaultKind, FaultSource, check
from roomcast.upstream.demo.http import Connection
from roomcast.upstream.demo.ledger import Ledger
from roomcast.upstream.demo.responses_wire import ResponsesAnswer
from roomcast.upstream.demo.scene import Scene, whole
from roomcast.upstream.demo.script import reply
from roomcast.upstream.demo.settings import DemoSettings
from roomcast.upstream.demo.steps import Pace, Performance, Reply, Request, Step
from roomcast.upstream.demo.tokens import split
from roomcast.upstream.demo.wire import EVENT_STREAM, JSON, Finish, encode_json

__all__ = ["DemoServer", "serve_demo"]

_DEFAULT_KEY = "roomcast-demo"
_MODEL_CREATED_AT: Final = 1_790_000_000
_GZIP = ("content-encoding", "gzip")


@asynccontextmanager
async def serve_demo(settings: DemoSettings | None = None) -> AsyncGenerator[DemoServer]:
    """Run a demo upstream on a loopback socket while the block runs.

    It logs no request, installs no signal handler, and ends at once, together with the answers that are being played.
    """
    settings = settings or DemoSettings()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=settings.port) as listener:
        server = DemoServer(settings, port=listener.extra(SocketAttribute.local_port))
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, server.serve, tasks, name="demo upstream")
            try:
                yield server
            except Exception as error:  # carried past the task group, which would hand it on inside of a group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure


class DemoServer:
    """A running demo upstream, as its users and tests see it.

    Args:
        settings: What it was started with.
        port: Where it listens.

    Attributes:
        ledger: Counters and requests, as the model's side sees them.
    """

    def __init__(self, settings: DemoSettings, *, port: int) -> None:
        self.ledger = Ledger(keep=settings.record_requests)
        self._settings = settings
        self._port = port
        self._faults = FaultSource(directives=settings.faults)

    @property
    def base_url(self) -> str:
        """Address to give to an OpenAI client."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def api_key(self) -> str:
        """Key to give to an OpenAI client."""
        return self._settings.api_key or _DEFAULT_KEY

    @property
    def model(self) -> str:
        """Name of the one model there is."""
        return self._settings.model

    @property
    def requests(self) -> int:
        """HTTP requests so far."""
        return self.ledger.requests

    @property
    def open_streams(self) -> int:
        """Answers being played now."""
        return self.ledger.open_streams

    @property
    def finished(self) -> int:
        """Answers played to their end."""
        return self.ledger.finished

    @property
    def aborted(self) -> int:
        """Answers that the client did not wait for."""
        return self.ledger.aborted

    @property
    def seen(self) -> Sequence[Request]:
        """The newest requests, oldest first; empty unless `DemoSettings.record_requests` is set."""
        return tuple(self.ledger.seen)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition`, about the counters above, holds. Give it a deadline."""
        await self.ledger.until(condition)

    def inject(self, fault: Fault, *, times: int = 1) -> None:
        """Let `fault` strike the next `times` requests for text, before any that a prompt asks for."""
        self._faults.inject(fault, times=times)

    def clear_faults(self) -> None:
        """Forget injected faults that have not struck yet."""
        self._faults.clear()

    async def serve(self, stream: SocketStream) -> None:
        """Serve one connection to its end."""
        await Connection(stream, respond=self.respond, ledger=self.ledger).serve()

    # --- deciding

    def respond(self, request: Request) -> Reply | Performance:
        """Return the response to `request`."""
        self.ledger.saw(request)
        try:
            response = self._route(request)
        except Rejection as rejection:
            response = Reply(rejection.status, rejection.body, (("content-type", JSON),))
        common = (
            ("x-request-id", f"req_{uuid.uuid4().hex}"),
            ("openai-version", "2020-10-01"),
            ("x-roomcast-simulated", "true"),
        )
        match response:
            case Reply():
                return Reply(response.status, response.body, response.headers + common)
            case Performance():
                return Performance(response.steps, response.headers + common, response.status)

    def _route(self, request: Request) -> Reply | Performance:
        self._authorise(request.headers)
        match request.path.split("/")[1:]:
            case ["v1", "responses"]:
                return self._answer(ask_responses(_posted(request)))
            case ["v1", "chat", "completions"]:
                return self._answer(ask_chat(_posted(request)))
            case ["v1", "responses", "input_tokens"]:
                tokens = count_input(_posted(request))
                return _json({"object": "response.input_tokens", "input_tokens": tokens})
            case ["v1", "models"]:
                _require(request, "GET")
                return _json({"object": "list", "data": [self._model_card()]})
            case ["v1", "models", name]:
                _require(request, "GET")
                if name != self.model:
                    message = f"The model '{name}' does not exist or you do not have access to it."
                    raise Rejection(message, status=404, param="model", code="model_not_found")
                return _json(self._model_card())
            case _:
                raise Rejection(f"Invalid URL ({request.method} {request.path})", status=404)

    def _authorise(self, headers: Mapping[str, str]) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Rejection("You didn't provide an API key.", status=401)
        if self._settings.api_key not in (None, key):
            raise Rejection("Incorrect API key provided.", status=401, code="invalid_api_key")

    def _model_card(self) -> dict[str, object]:
        return {"id": self.model, "object": "model", "created": _MODEL_CREATED_AT, "owned_by": "roomcast"}

    def _answer(self, ask: Ask) -> Reply | Performance:
        fault, prompt = self._faults.draw(ask.prompt)
        if fault is not None:
            check(fault, ask)
            if instead := fault_replies.reply(fault):
                return instead
        scene = self._scene(ask, prompt)
        steps = scene.play() if fault is None else disturbed(fault, scene)
        return _performance(ask, scene, steps, fault)

    def _scene(self, ask: Ask, prompt: str) -> Scene:
        seed = self._settings.seed
        pieces = split(reply(prompt, seed=seed), seed=f"{seed}/{prompt}")
        cut = ask.max_tokens is not None and len(pieces) > ask.max_tokens
        return Scene(
            answer=(ResponsesAnswer if ask.api is Api.RESPONSES else ChatAnswer)(ask, model=self.model),
            pieces=pieces[: ask.max_tokens],
            finish=Finish.LENGTH if cut else Finish.STOP,
            pace=Pace(self._settings, prompt),
        )


def _performance(ask: Ask, scene: Scene, steps: Iterator[Step], fault: Fault | None) -> Performance:
    kind = None if fault is None else fault.kind
    if not ask.stream or kind is FaultKind.JSON:
        return Performance(whole(steps, scene.answer), (("content-type", JSON),))
    headers = (("content-type", EVENT_STREAM), ("cache-control", "no-cache"))
    return Performance(steps, (*headers, _GZIP) if kind is FaultKind.GZIP_BOMB else headers)


def _posted(request: Request) -> bytes:
    _require(request, "POST")
    return request.body


def _require(request: Request, method: str) -> None:
    if request.method != method:
        hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
        message = f"Not allowed to {request.method} on {request.path}. {hint}"
        raise Rejection(message, status=405, code="method_not_supported")


def _json(value: object) -> Reply:
    return Reply(200, encode_json(value), (("content-type", JSON),))
