"""A real browser for tests of the page, and what must never happen in it.

    async with chromium() as browser:
        page, troubles = await open_page(browser, url)

`Troubles` gathers what a page should not do: errors on its console (violations of the content
security policy are among them), uncaught exceptions, and requests to any other address.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

__all__ = ["PATIENCE_MS", "Troubles", "chromium", "open_page"]

PATIENCE_MS = 60_000
"""For anything that must happen at some time: a machine that others keep busy is several times slower."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=PATIENCE_MS)


@dataclass  # without slots: Playwright keeps something on the object whose method listens
class Troubles:
    """What went wrong in one page.

    Attributes:
        origin: The address served: `scheme://host:port`.
        said: Errors and warnings on the console, and uncaught exceptions.
        foreign: Addresses of requests that left the origin.
    """

    origin: str
    said: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])

    def hear(self, message: ConsoleMessage) -> None:
        """Keep what the console complains about."""
        if message.type in {"error", "warning"}:
            self.said.append(message.text)

    def see(self, request: Request) -> None:
        """Keep a request that goes elsewhere."""
        address = urlsplit(request.url)
        if f"{address.scheme}://{address.netloc}" != self.origin and address.scheme not in {"data", "blob"}:
            self.foreign.append(request.url)

    def none(self) -> bool:
        """Whether nothing went wrong."""
        return not self.said and not self.foreign


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """Start the system's Chromium, headless; skip the test where there is none."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        pytest.skip("no Chromium is installed (make browser says how)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


async def open_page(
    browser: Browser,
    url: str,
    *,
    name: str = "",
    width: int = 1280,
    height: int = 800,
    dark: bool = False,
    phone: bool = False,
) -> tuple[Page, Troubles]:
    """Open `url` in a context of its own, as another person at another machine would.

    Args:
        name: What to be called; empty leaves it to the page.
    """
    address = urlsplit(url)
    troubles = Troubles(f"{address.scheme}://{address.netloc}")
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        is_mobile=phone,
        has_touch=phone,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    page.on("console", troubles.hear)
    page.on("pageerror", lambda error: troubles.said.append(str(error)))
    page.on("request", troubles.see)
    if name:
        await page.add_init_script(_introduce(name))
    await page.goto(url)
    return page, troubles


def _introduce(name: str) -> str:
    """Script that gives a fresh browser an identity with this name; one that has its own keeps it."""
    identity = json.dumps({"id": "m_" + name.encode().hex()[:40], "name": name})
    return f"localStorage.getItem('roomcast.me') ?? localStorage.setItem('roomcast.me', {json.dumps(identity)});"
