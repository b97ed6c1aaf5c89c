"""Every program in client_examples/ is run against a real server, and stays short."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from playwright.async_api import expect

from roomcast.client import Room, connect
from tests.cli.program import environment
from tests.support.chromium import chromium, open_page
from tests.support.server import Server, roomcast_server

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "client_examples"
PROGRAMS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh", ".html"})
QUICK = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "150", "ROOMCAST_DEMO__FIRST_TOKEN_MS": "5"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("examples"), environ=QUICK) as started:
        yield started


async def run(name: str, *arguments: str) -> str:
    """Run an example to its end and give what it printed."""
    command = [sys.executable] if name.endswith(".py") else ["sh"]
    with anyio.fail_after(120):
        done = await anyio.run_process(
            [*command, str(EXAMPLES / name), *arguments], env=environment(), check=False, stderr=subprocess.STDOUT
        )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_an_example_can_be_read_in_a_minute(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < 80


def test_the_read_me_names_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert [path.name for path in PROGRAMS if f"]({path.name})" not in text] == []


async def test_ask_cancel_resume_misses_nothing_and_stops_the_answer(tmp_path: Path) -> None:
    unhurried = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "15"}  # the answer is not over before it is cancelled
    with roomcast_server(tmp_path, environ=unhurried) as server:
        lines = (await run("ask_cancel_resume.py", "story", server.url)).splitlines()
        assert lines[0].startswith("left after ")
        assert lines[1].startswith("came back, and got the ")
        assert lines[2] == "cancelling, then cancelled: enough"
        async with connect(server.url, "story") as room:
            assert lines[3].removesuffix(" …") in text_of(room).replace("\n", " ")


def text_of(room: Room) -> str:
    """What the assistant has said, by the server's own account."""
    assert room.snapshot is not None
    said = [item for item in room.snapshot["items"] if item["role"] == "assistant"]
    return "".join(part["text"] for item in said for part in item["content"])


async def test_the_viewer_shows_what_is_said_and_the_answer_whole(server: Server) -> None:
    command = [sys.executable, str(EXAMPLES / "viewer.py"), "watched", server.url]
    async with await anyio.open_process(command, env=environment(), stderr=subprocess.STDOUT) as viewer:
        assert viewer.stdout is not None
        shown = b""
        with anyio.fail_after(120):
            while b"-- 1 here" not in shown:
                shown += await viewer.stdout.receive()
            async with connect(server.url, "watched", name="Ada") as room:
                answer = await room.answer(await room.ask("a short answer, please"))
            while b"-- completed" not in shown:
                shown += await viewer.stdout.receive()
        viewer.terminate()
    assert "Ada: a short answer, please\n" in shown.decode()
    assert f"{answer.text}\n-- completed, digest agrees" in shown.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
async def test_curl_reads_the_answer_to_its_own_prompt(server: Server) -> None:
    printed = await run("curl_sse.sh", 'Say "hello" \\ and back', "curled", server.url)
    *lines, hint = printed.splitlines()
    events = [json.loads(line) for line in lines]
    async with connect(server.url, "curled") as room:
        assert "".join(event.get("delta", "") for event in events) == text_of(room)
        assert room.snapshot is not None
        assert room.snapshot["items"][0]["content"][0]["text"] == 'Say "hello" \\ and back'
        assert f"Last-Event-ID: {room.cursor.epoch}:{room.cursor.seq}" in hint
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
async def test_curl_says_why_a_prompt_was_refused(server: Server) -> None:
    with anyio.fail_after(120):
        done = await anyio.run_process(
            ["sh", str(EXAMPLES / "curl_sse.sh"), "hello", "no%20room", server.url], env=environment(), check=False
        )
    assert done.returncode == 1
    assert b'"ok":false' in done.stderr


@contextmanager
def served(folder: Path) -> Generator[str]:
    """A folder on an origin of its own, as another web site would have it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{site.server_port}"
    finally:
        site.shutdown()
        site.server_close()
        thread.join()


@pytest.mark.browser
async def test_the_page_in_one_file_shows_a_room_stops_an_answer_and_resumes(tmp_path: Path) -> None:
    with served(EXAMPLES) as site:
        environ = {**QUICK, "ROOMCAST_DEMO__TOKENS_PER_SECOND": "10", "ROOMCAST_SERVER__ALLOWED_ORIGINS": site}
        async with chromium() as browser:
            with roomcast_server(tmp_path, environ=environ) as first:
                address = f"{site}/browser_chat.html?server={first.ws_url.removesuffix('/v1/ws')}"
                page, troubles = await open_page(browser, address)
                await expect(page.locator("#status")).to_have_text("live")
                await page.locator("#text").fill("a long story <b>please</b>")
                await page.keyboard.press("Enter")
                answer = page.locator("#log p").nth(1)
                await expect(page.locator("#log p").first).to_have_text("a long story <b>please</b>")
                await expect(answer).to_contain_text("lighthouse")
                await page.locator("#stop").click()
                await expect(page.locator("#log")).to_contain_text("[response.cancelled]")
                assert [line for line in troubles.said if "favicon" not in line and "404" not in line] == []
                stopped = await answer.text_content()
                first.kill()
                await expect(page.locator("#status")).to_have_text("reconnecting")
            with roomcast_server(tmp_path, environ=environ, port=first.port) as second:
                await expect(page.locator("#status")).to_have_text("live")
                assert await answer.text_content() == stopped
                async with connect(second.url, name="Bob") as room:
                    assert text_of(room) == stopped
                    await room.send("good to see you again")
                await expect(page.locator("#log p").last).to_have_text("good to see you again")
                assert await page.locator("#log p").count() == 4
