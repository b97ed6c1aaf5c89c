"""The page's modules in a real browser: files of one folder over HTTP, and nothing of roomcast's server.

A loopback server, and not answers made up inside the browser: Chromium lets only pages from the loopback address
open sockets to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.async_api import Browser, Page

from tests.support.chromium import chromium

WEB = Path(__file__).parents[2] / "server" / "roomcast" / "web"
BLANK = b"<!doctype html><meta charset=utf-8><title>modules</title><link rel=icon href=data:,><main></main>"


class _Modules(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(BLANK)))
        self.end_headers()
        self.wfile.write(BLANK)

    def log_message(self, format: str, *args: object) -> None:
        """A test has nothing to say about requests that went well."""


@pytest.fixture(scope="session")
def modules() -> Iterator[str]:
    """Address under which `/name.js` is a module of the page, and `/` is blank."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Modules, directory=str(WEB))) as server:
        thread = Thread(target=server.serve_forever, name="modules", kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def page(browser: Browser, modules: str) -> AsyncIterator[Page]:
    """A blank page whose modules can be imported as `/name.js`."""
    context = await browser.new_context()
    opened = await context.new_page()
    await opened.goto(f"{modules}/")
    yield opened
    await context.close()
