"""Tests of roomcast/observe/logging.py. Each reads the bytes that would have reached standard error."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from roomcast.core.settings import LogSettings, Secret
from roomcast.observe import configure, report_loop_exception

CANARY = "canary7canary7canary7"

Lines = Callable[[], list[dict[str, Any]]]
Start = Callable[..., Lines]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Configure logging into a file; what is returned ends logging and reads the file."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    file = tmp_path / "log"
    to_file = os.open(file, os.O_WRONLY | os.O_CREAT)

    def begin(descriptor: int = to_file, **settings: Any) -> Lines:
        sink = configure(LogSettings(**settings), secrets=[Secret(CANARY)], descriptor=descriptor)

        def lines() -> list[dict[str, Any]]:
            sink.close(10.0)
            atexit.unregister(sink.close)
            return [orjson.loads(line) for line in file.read_bytes().splitlines()]

        return lines

    yield begin
    os.close(to_file)
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def test_a_line_is_one_json_object_with_level_and_time(start: Start) -> None:
    lines = start(format="json")
    structlog.get_logger().info("generation_finished", room="lobby", tokens=5, took_s=1.5)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "generation_finished", "level": "info", "room": "lobby", "tokens": 5, "took_s": 1.5}


def test_what_is_bound_to_a_task_stands_in_its_lines(start: Start) -> None:
    lines = start(format="json")
    structlog.contextvars.bind_contextvars(room="lobby", prompt=CANARY)
    structlog.get_logger().info("generation_finished")
    assert (lines()[0]["room"], lines()[0]["prompt"]) == ("lobby", "***")


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_left_out(level: str, count: int, start: Start) -> None:
    lines = start(format="json", level=level)
    log = structlog.get_logger()
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("x_happened")
    assert len(lines()) == count


def test_off_a_terminal_the_format_is_json_unless_told_otherwise(start: Start, tmp_path: Path) -> None:
    lines = start()
    structlog.get_logger().info("x_happened")
    assert lines()[0]["event"] == "x_happened"


def test_people_get_one_line_without_colours_when_there_is_no_terminal(start: Start, tmp_path: Path) -> None:
    lines = start(format="console")
    structlog.get_logger().info("x_happened", room="a\x1b[31m\nb")
    with pytest.raises(orjson.JSONDecodeError):
        lines()
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert "x_happened" in line
    assert "\x1b" not in line


def test_an_exception_is_a_text_without_its_locals_and_input(start: Start) -> None:
    """Catalogue X5."""
    lines = start(format="json")
    log = structlog.get_logger()
    try:
        local = CANARY
        raise ValueError(local)
    except ValueError as error:
        log.exception("x_failed")
        log.error("y_failed", exc_info=error)
        log.error("z_failed", exc_info=(type(error), error, error.__traceback__))
        log.error("w_failed", error=error)
    *with_traceback, only_named = lines()
    assert {line["exception"].split("\n")[0] for line in with_traceback} == {"ValueError"}
    assert all("test_logging.py" in line["exception"] for line in with_traceback)
    assert only_named["error"] == "ValueError"


def test_other_libraries_speak_through_the_same_pipeline_from_warning_on(start: Start) -> None:
    lines = start(format="json", level="debug")
    for name in ("uvicorn.error", "websockets.server", "openai", "httpx2", "anything.else"):
        logger = logging.getLogger(name)
        logger.info("quiet %s", CANARY)
        logger.warning("loud %s", CANARY)
        logger.error("unfit %d", "x")
    assert [(line["logger"], line["level"], line["event"]) for line in lines()] == [
        (name, level, event)
        for name in ("uvicorn.error", "websockets.server", "openai", "httpx2", "anything.else")
        for level, event in (("warning", "loud ***"), ("error", "unfit %d"))
    ]


def test_debug_lines_of_a_library_stay_out_even_when_it_turns_them_on_itself(start: Start) -> None:
    """`OPENAI_LOG=debug` does that, and those lines hold requests."""
    lines = start(format="json", level="debug")
    logger = logging.getLogger("openai")
    logger.setLevel(logging.DEBUG)
    logger.debug("Request options: %s", {"json_data": "the prompt"})
    logger.setLevel(logging.WARNING)
    assert lines() == []


def test_warnings_name_place_and_kind_only(start: Start) -> None:
    lines = start(format="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("input_value='the prompt'", UserWarning, stacklevel=1)
    (line,) = lines()
    assert line["event"].endswith("UserWarning")
    assert "prompt" not in str(line)


def test_what_nobody_caught_in_the_loop_is_told_without_its_words(start: Start) -> None:
    lines = start(format="json")

    async def fail() -> None:
        raise ValueError("the prompt")

    def fail_now(prompt: str) -> None:
        raise ValueError(prompt)

    async def main(report: bool) -> None:
        loop = asyncio.get_running_loop()
        if report:
            loop.set_exception_handler(report_loop_exception)
        task = loop.create_task(fail(), name="t1")
        loop.call_soon(fail_now, "the prompt")
        await asyncio.wait([task])
        del task  # unretrieved, which is what is reported

    asyncio.run(main(report=True))
    asyncio.run(main(report=False))
    told = lines()
    assert [line["event"].replace(f"{fail_now.__qualname__}", "fail_now") for line in told] == [
        *("loop_exception_raised", "loop_exception_raised"),
        *(
            "Exception in callback fail_now",
            "Task exception was never retrieved",
        ),
    ]
    assert "prompt" not in str(told)
    assert {line["exception"].split("\n")[0] for line in told} == {"ValueError"}


def test_nothing_that_is_logged_raises(start: Start) -> None:
    """G2"""
    lines = start(format="json")
    structlog.get_logger().info("x_happened", lone="\ud83c", huge=2**100, mixed={1: {2: object()}}, nan=float("nan"))
    (line,) = lines()
    assert (line["lone"], line["huge"], line["nan"]) == ("\\ud83c", "<101 bits>", None)


def test_lines_that_nobody_read_are_counted_in_a_line_like_the_others(start: Start) -> None:
    reader, writer = os.pipe()
    lines = start(format="json", descriptor=writer)
    log = structlog.get_logger().bind()
    for _ in range(5_000):  # of 1 kB each: more than the pipe takes and 4 MiB
        log.warning("x_happened", room="x" * 1_000)
    with os.fdopen(reader, "rb") as pipe:
        line = next(line for line in map(orjson.loads, pipe) if line["event"] != "x_happened")
        assert (line["event"], line["level"]) == ("log_lines_dropped", "warning")
        assert line["count"] > 100
        assert line["timestamp"].endswith("Z")
        assert lines() == []
    os.close(writer)


# ---- catalogue X5: a canary in every place, through the real client of the real service ---------------------------


class Fake(BaseHTTPRequestHandler):
    """Answers with whatever an upstream can do to make somebody quote what it was asked."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        kind = self.path.removesuffix("/responses").strip("/")
        body, status, mime = f"the-prompt {CANARY}", 200, "text/event-stream"
        if kind == "401":
            body, status, mime = (
                f'{{"error":{{"message":"bad key {CANARY} the-prompt"}}}}',
                401,
                "application/json",
            )
        elif kind == "malformed":
            body = f'data: {{"the-prompt {CANARY}\n\n'
        elif kind == "error":
            body = f'data: {{"error":{{"message":"the-prompt {CANARY}"}}}}\n\n'
        self.send_response(status)
        self.send_header("content-type", mime)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


SCRIPT = """
    import asyncio, logging, os, sys
    import structlog
    from roomcast.core.settings import LogSettings, Secret
    from roomcast.observe import configure

    address, key, prompt = sys.argv[1], os.environ["OPENAI_API_KEY"], "the-prompt"
    logging.basicConfig(level=logging.DEBUG)  # what somebody else may have done
    import openai
    configure(LogSettings(level="debug", format="json"), secrets=[Secret(key)])
    log = structlog.get_logger()

    async def ask(kind):
        async with openai.AsyncOpenAI(base_url=f"{address}/{kind}", max_retries=0) as client:
            body = {"model": "m", "input": prompt, "stream": True}
            stream = await client.post(
                "/responses", cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object]
            )
            async for event in stream:
                log.debug("chunk_arrived", delta=event, event_type=event)

    async def main():
        for kind in ("401", "malformed", "error", "html"):
            try:
                await ask(kind)
            except Exception as error:
                log.exception("upstream_failed", kind=kind)
                log.debug("upstream_failed", error=error, prompt=prompt, headers={"authorization": f"Bearer {key}"})
        log.debug("settings_read", api_key=Secret(key), raw=f"key is {key}", nested=[{"messages": [prompt]}])
        log.info("script_ended")

    asyncio.run(main())
"""


def test_neither_key_nor_prompt_shows_at_debug_level_whatever_goes_wrong() -> None:
    with HTTPServer(("127.0.0.1", 0), Fake) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), f"http://127.0.0.1:{server.server_port}"],
            env={**os.environ, "OPENAI_API_KEY": CANARY, "OPENAI_LOG": "debug"},
            cwd=Path(__file__).parents[2] / "server",
            capture_output=True,
            timeout=120,
            check=False,
        )
        server.shutdown()
    written = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, written
    assert done.stdout == b""
    assert "script_ended" in written
    assert written.count("upstream_failed") >= 6
    assert "canary" not in written
    assert "the-prompt" not in written
