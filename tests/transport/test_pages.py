"""Tests of roomcast/transport/pages.py."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from playwright.async_api import Browser, Page

from tests.support.chromium import chromium
from tests.transport.serving import Served, eventually, serving

pytestmark = pytest.mark.anyio

DIRECTIVES = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
}


@pytest.fixture(scope="module")
async def served(anyio_backend: str) -> AsyncIterator[Served]:
    async with serving() as running:
        yield running


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.mark.parametrize("path", ["/", "/r/lobby"])
async def test_the_page_is_served_for_each_room_under_a_strict_policy(served: Served, path: str) -> None:
    got = await served.http.get(path)
    assert (got.status_code, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert set(got.headers["content-security-policy"].split("; ")) >= DIRECTIVES
    assert got.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/css/base.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
        ("/assets/vendor/VENDORED.json", "application/json"),
        ("/assets/vendor/preact.js", "text/javascript; charset=utf-8"),
        ("/roomcast.js", "text/javascript; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
    ],
)
async def test_a_file_is_told_as_what_it_is(served: Served, path: str, kind: str) -> None:
    got = await served.http.get(path)
    assert (got.status_code, got.headers["content-type"]) == (200, kind)


async def test_head_tells_the_size_and_sends_nothing(served: Served) -> None:
    whole, head = await served.http.get("/roomcast.js"), await served.http.head("/roomcast.js")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(whole.content)), b"")


async def test_a_browser_that_has_a_file_is_told_so(served: Served) -> None:
    first = await served.http.get("/assets/app.js")
    again = await served.http.get("/assets/app.js", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await served.http.get("/assets/app.js", headers={"if-none-match": '"other"'})
    assert other.content == first.content


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../wiring.py",
        "/assets/%2e%2e/wiring.py",
        "/assets/..%2fwiring.py",
        "/assets//etc/passwd",
        "/assets/%2fetc/passwd",
        "/assets/css",
        "/assets/css/",
        "/assets/app.js/",
        "/assets/app.js%00.css",
        "/assets/",
        "/assets",
        "/assets/..\\wiring.py",
    ],
)
async def test_no_address_leads_out_of_the_folder(served: Served, path: str) -> None:
    sock = await served.raw(f"GET {path} HTTP/1.1", f"Host: {served.host}", "Connection: close", "")
    with sock:
        assert (await sock.read_all()).startswith("HTTP/1.1 404")


async def test_a12_a_file_is_never_cut_into_ranges(served: Served) -> None:
    whole = await served.http.get("/assets/app.js")
    asked = await served.http.get("/assets/app.js", headers={"range": "bytes=" + ",".join(["0-"] * 1_000)})
    assert (asked.status_code, asked.content) == (200, whole.content)


@pytest.mark.browser
async def test_a_page_of_ours_can_follow_a_room_with_the_event_source_of_its_browser(
    served: Served, browser: Browser
) -> None:
    """And comes back by itself to where it was, when its stream ends."""
    follow = """() => new Promise((done) => {
        const got = [];
        globalThis.source = new EventSource("/v1/rooms/watched/events?member=ann");
        source.onmessage = (message) => {
            const event = JSON.parse(message.data);
            if (event.seq) got.push([event.type, message.lastEventId.split(":").at(-1)]);
            if (event.type === "item.created" && event.item.content[0].text === "last") done(got);
        };
    })"""
    got: list[list[str]] = []
    page = await browser.new_page()
    await page.goto(f"http://{served.host}/livez")
    async with anyio.create_task_group() as tasks:

        async def talk() -> None:
            await eventually(lambda: served.subscribers("watched"))
            await served.say("watched", "first")
            served.end_all()
            await served.say("watched", "while away")
            await eventually(lambda: served.subscribers("watched"))
            await served.say("watched", "last")

        tasks.start_soon(talk)
        got += await page.evaluate(follow)
    await page.close()
    assert got == [["room.reset", "1"], ["item.created", "2"], ["item.created", "3"], ["item.created", "4"]]


@pytest.mark.browser
async def test_the_page_runs_in_a_browser_without_a_breach_of_its_policy(served: Served, browser: Browser) -> None:
    """Trusted Types and the policy hold against what the page does; a string still cannot become HTML."""
    page = await browser.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    await page.goto(f"http://{served.host}/r/lobby")
    await page.wait_for_selector("textarea", timeout=60_000)
    assert troubles == []
    assert await attempt(page, "document.body.innerHTML = '<b>x</b>'") == "TypeError"
    assert await attempt(page, "trustedTypes.createPolicy('any', {createHTML: (text) => text})") == "TypeError"
    await page.close()


async def attempt(page: Page, script: str) -> str:
    """The name of the error that `script` meets."""
    found: str = await page.evaluate(
        f"() => {{ try {{ {script}; return 'done' }} catch (error) {{ return error.name }} }}"
    )
    return found
