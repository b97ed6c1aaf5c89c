"""What the tests of the page share: one server with a model that says what it is told, and people with browsers."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.chromium import Troubles, chromium, open_page
from tests.support.hostile_upstream import HostileUpstream, Script, Step, stream
from tests.support.model_streams import responses_stream
from tests.support.server import Server, roomcast_server

LOST_SERVER = re.compile(r"WebSocket connection to .* failed|ERR_CONNECTION_REFUSED")


@dataclass(slots=True)
class Visitor:
    """A person at a browser of their own, in one room."""

    page: Page
    troubles: Troubles
    dialogs: list[str]

    @property
    def composer(self) -> Locator:
        """Where one writes."""
        return self.page.get_by_role("textbox", name="Message")

    @property
    def messages(self) -> Locator:
        """What people said."""
        return self.page.locator(".message")

    @property
    def answers(self) -> Locator:
        """What the model answered, queued answers included."""
        return self.page.locator(".answer")

    @property
    def answer(self) -> Locator:
        """The newest answer."""
        return self.answers.last

    @property
    def text(self) -> Locator:
        """The text of the newest answer."""
        return self.answer.locator(".md")

    async def say(self, text: str) -> None:
        """Write a message and send it."""
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def until(self, status: str) -> None:
        """Wait until the newest answer has this status."""
        await expect(self.answer).to_have_attribute("data-status", status)

    async def until_live(self) -> None:
        """Wait until the connection is live."""
        await expect(self.page.locator(".pill")).to_have_attribute("data-state", "live")


class Enter(Protocol):
    """Opens a room in a browser of its own."""

    async def __call__(
        self, name: str, *, room: str | None = None, phone: bool = False, dark: bool = False
    ) -> Visitor: ...


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture(scope="module")
async def model(anyio_backend: str) -> AsyncIterator[HostileUpstream]:
    """The model service behind `live_server`."""
    async with HostileUpstream() as upstream:
        upstream.script(saying("Hello."))
        yield upstream


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory, model: HostileUpstream) -> Iterator[Server]:
    """A server whose model is `model`; each test takes a room of its own in it."""
    environ = {
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": "sk-test",
        # A model that a test holds back is not silent, however long a page takes to come to rest.
        "ROOMCAST_UPSTREAM__FIRST_OUTPUT_TIMEOUT_S": "600",
        "ROOMCAST_UPSTREAM__IDLE_TIMEOUT_S": "600",
    }
    with roomcast_server(tmp_path_factory.mktemp("data"), environ=environ) as server:
        yield server


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room for this test alone."""
    return re.sub(r"[^A-Za-z0-9._~-]+", "-", request.node.name)[:100].strip("-")


@pytest.fixture
async def enter(browser: Browser, live_server: Server, room: str) -> AsyncGenerator[Enter]:
    """Lets people in; at the end their pages must have behaved."""
    visitors: list[Visitor] = []
    given = room

    async def come_in(name: str, *, room: str | None = None, phone: bool = False, dark: bool = False) -> Visitor:
        visitor = await visit(browser, f"{live_server.url}/r/{room or given}", name, phone=phone, dark=dark)
        visitors.append(visitor)
        return visitor

    yield come_in
    for visitor in visitors:
        await visitor.page.context.close()
    for visitor in visitors:
        assert visitor.troubles.none(), visitor.troubles
        assert visitor.dialogs == []


async def visit(browser: Browser, url: str, name: str, *, phone: bool = False, dark: bool = False) -> Visitor:
    """Open a room and wait until it is live."""
    width, height = (390, 844) if phone else (1280, 800)
    page, troubles = await open_page(browser, url, name=name, width=width, height=height, phone=phone, dark=dark)
    dialogs: list[str] = []

    async def dismiss(dialog: object) -> None:
        dialogs.append(str(dialog))

    page.on("dialog", dismiss)
    visitor = Visitor(page, troubles, dialogs)
    await visitor.until_live()
    return visitor


def saying(*pieces: str | Step, finish: str | None = "completed") -> Script:
    """A model's answer in these pieces, with steps of the upstream (`Until`, `Pause`) between them.

    Args:
        pieces: Texts and steps.
        finish: How the model says that it ends; None lets it break off.
    """
    texts = [piece for piece in pieces if isinstance(piece, str)]
    events = responses_stream(*texts, finish=finish)
    opening, closing = events[:4], events[4 + len(texts) :]
    deltas = iter(events[4 : 4 + len(texts)])
    body = [next(deltas) if isinstance(piece, str) else piece for piece in pieces]
    return stream(*opening, *body, *closing)
