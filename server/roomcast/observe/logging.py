"""Log lines: an event name and fields, on standard error, as JSON or for people.

    structlog call ─► context ─► level ─► time ─► scrub ─► exception ─► JSON | console ─► sink
    stdlib record (uvicorn, websockets, openai, …) at WARNING ─┘

Use it so: `log = structlog.get_logger()` in a module, `log.info("generation_finished", room=…, took_s=…)`.
Names are noun_participle; prompts and output are never passed. docs/operations.md lists the names.

Invariants
    G1  Nothing private is written, at any level, whoever logs it (scrub.py).
    G2  Logging never raises into its caller and never waits for the reader (sink.py).
    G3  Standard output is left alone: it belongs to the start-up line.
    G4  Other libraries speak at WARNING and above only, whatever our level: at DEBUG they print requests.

A call costs some 30 µs: nothing for a connection or a response, too much for a frame. Count there
instead (metrics.py).
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, Final, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from roomcast.core.settings import LogSettings, Secret
from roomcast.observe.scrub import Scrubber
from roomcast.observe.sink import LineSink

__all__ = ["configure", "report_loop_exception", "take_over_loop"]

_STDERR: Final = 2
_WAITING_BYTES: Final = 4 * 1024 * 1024
_EXIT_S: Final = 1.0

_FOREIGN: Final = (
    "",
    "asyncio",
    "httpcore2",
    "httpx2",
    "openai",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "websockets",
)
"""Loggers of others whose handlers and levels are replaced; "" is the root."""


def configure(settings: LogSettings, *, secrets: Iterable[Secret] = (), descriptor: int = _STDERR) -> LineSink:
    """Make structlog and the standard library's logging write to one place.

    To be called once, before the first line; loggers remember what they were made with.

    Args:
        settings: Level and format.
        secrets: What must never show: keys and tokens of this process.
        descriptor: Where lines go.

    Returns:
        The sink. It is closed at the end of the process; closing it earlier waits for what is unwritten.
    """
    console = settings.format == "console" or (settings.format == "auto" and os.isatty(descriptor))
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    scrubber = Scrubber(secret.value for secret in secrets)
    render = _console(colors=os.isatty(descriptor)) if console else _json
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Scrub(scrubber),
        render,
    ]

    def dropped(count: int) -> bytes:
        event: EventDict = {"event": "log_lines_dropped", "count": count}
        for process in processors[1:]:
            event = cast("EventDict", process(None, "warning", event))
        return cast("bytes", event) + b"\n"

    sink = LineSink(descriptor, limit_bytes=_WAITING_BYTES, on_dropped=dropped)
    atexit.register(sink.close, _EXIT_S)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", sink)),
        cache_logger_on_first_use=True,
    )
    _take_over(max(level, logging.WARNING))
    return sink


def take_over_loop() -> None:
    """Let the running loop report its exceptions here; call once, in the loop."""
    asyncio.get_running_loop().set_exception_handler(report_loop_exception)


def report_loop_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody caught in the event loop; for `loop.set_exception_handler`.

    The default handler prints the `repr` of tasks and arguments, which quote what passes through them.
    """
    error = context.get("exception")
    what = context.get("task") or context.get("future")
    name = what.get_name() if isinstance(what, asyncio.Task) else None
    structlog.get_logger().error("loop_exception_raised", task=name, exc_info=error)


class _Scrub:
    """Make every field safe, and `exc_info` a text."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        error = _exception(event.pop("exc_info", None))
        safe = {self._scrubber.text(name): self._scrubber.field(name, value) for name, value in event.items()}
        if error is not None:
            safe["exception"] = self._scrubber.exception(error)
        return safe


def _exception(given: object) -> BaseException | None:
    """The exception in what structlog and logging take as `exc_info`: itself, a triple, or a truth value."""
    if isinstance(given, tuple):
        given = cast("tuple[object, ...]", given)[1]
    if isinstance(given, BaseException):
        return given
    return sys.exception() if given else None


def _json(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
    return orjson.dumps(event)


def _console(*, colors: bool) -> Processor:
    # Exceptions are text by now; the formatter is named only because the default one warns about that.
    render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)

    def render_bytes(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        return render(logger, method, event).encode()

    return render_bytes


class _Foreign(logging.Handler):
    """Hands records of the standard library to structlog."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._log = structlog.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit the text
            message = str(record.msg)
        # Further on, these two quote what is at hand: arguments, fields of models.
        if record.name == "asyncio":
            message = message.partition("\n")[0].partition("(")[0]
        elif record.name == "py.warnings":
            message = ": ".join(message.split(": ", 2)[:2])
        method = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(self._log, method)(message, logger=record.name, exc_info=record.exc_info)


def _take_over(level: int) -> None:
    """Leave one way out for records of the standard library: ours."""
    logging.captureWarnings(True)
    for name in _FOREIGN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(level)
        logger.propagate = True
    logging.getLogger().addHandler(_Foreign(level))
