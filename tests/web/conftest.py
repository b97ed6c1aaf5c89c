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
from playwright.async_api import Page

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
async def tab(anyio_backend: str) -> AsyncIterator[Page]:
    """One tab for the tests of a file: a new one for each test would take longer than the test."""
    async with chromium() as browser:
        yield await browser.new_page()


@pytest.fixture
async def page(tab: Page, modules: str) -> AsyncIterator[Page]:
    """A blank page, freshly loaded, whose modules can be imported as `/name.js`."""
    await tab.goto(f"{modules}/")
    yield tab
    await tab.goto("about:blank")
