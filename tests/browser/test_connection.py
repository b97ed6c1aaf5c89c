"""Tests of the page when its server goes away and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import LOST_SERVER, Visitor, saying, visit
from tests.support.hostile_upstream import HANG, HostileUpstream
from tests.support.server import Server, roomcast_server

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


def at(model: HostileUpstream) -> dict[str, str]:
    return {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "sk-test"}


@pytest.fixture
def first_server(tmp_path: Path, model: HostileUpstream) -> Iterator[Server]:
    with roomcast_server(tmp_path, environ=at(model)) as server:
        yield server


def behaved(visitor: Visitor) -> bool:
    """Whether the page had no trouble but that of a server that was not there."""
    return [said for said in visitor.troubles.said if not LOST_SERVER.search(said)] == []


async def test_a_crash_is_told_and_the_room_comes_back_whole(
    browser: Browser, first_server: Server, tmp_path: Path, model: HostileUpstream
) -> None:
    model.script(saying("Whole."), saying("Half of", HANG))
    ada = await visit(browser, f"{first_server.url}/r/crash", "Ada")
    await ada.say("one")
    await ada.until("completed")
    await ada.say("two")
    await expect(ada.text).to_have_text("Half of")
    first_server.kill()
    await expect(ada.page.get_by_text("Connection lost. Trying again")).to_be_visible()
    await expect(ada.page.locator(".pill")).to_have_attribute("data-state", "reconnecting")
    await expect(ada.text).to_have_text("Half of")
    model.script(saying("Answered later."))
    await ada.say("written while it was gone")
    await expect(ada.page.get_by_text("will be sent when the connection is back")).to_be_visible()
    with roomcast_server(tmp_path, environ=at(model), port=first_server.port):
        await ada.until_live()
        await expect(ada.page.get_by_text("Connection lost")).to_have_count(0)
        await expect(ada.answers.nth(1)).to_have_attribute("data-status", "interrupted")
        await expect(ada.answers.nth(1)).to_contain_text("Interrupted when the server restarted.")
        await expect(ada.answers.nth(1).locator(".md")).to_have_text("Half of")
        await expect(ada.messages).to_have_count(3)
        await expect(ada.text).to_have_text("Answered later.")
        late = await visit(browser, f"{first_server.url}/r/crash", "Late")
        statuses = "(answers) => answers.map((answer) => answer.dataset.status)"
        assert await late.answers.evaluate_all(statuses) == ["completed", "interrupted", "completed"]
        await ada.page.context.close()
        await late.page.context.close()
    assert behaved(ada)
    assert behaved(late)


async def test_a_room_that_nobody_may_enter_asks_for_a_token_and_lets_in_who_has_one(
    browser: Browser, tmp_path: Path, model: HostileUpstream
) -> None:
    settings = tmp_path / "roomcast.toml"
    settings.write_text(
        '[auth]\nmode = "token"\n[[auth.tokens]]\ntoken = "a-token-of-some-length"\n'
        'member = "ann"\nname = "Ann"\nrole = "owner"\n'
    )
    model.script(saying("Welcome."))
    with roomcast_server(tmp_path / "data", "--config", str(settings), environ=at(model)) as server:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"{server.url}/r/closed")
        token = page.get_by_label("Your token")
        await token.fill("not-the-right-token")
        await token.press("Enter")
        await expect(token).to_have_value("")
        await token.fill("a-token-of-some-length")
        await token.press("Enter")
        await expect(page.locator(".pill")).to_have_attribute("data-state", "live")
        await page.get_by_role("textbox", name="Message").fill("Hello")
        await page.get_by_role("textbox", name="Message").press("Enter")
        await expect(page.locator(".answer")).to_contain_text("Welcome.")
        await expect(page.locator(".message .name")).to_have_text("Ann")
        await context.close()


async def test_who_may_only_read_is_not_offered_to_write(
    browser: Browser, tmp_path: Path, model: HostileUpstream
) -> None:
    settings = tmp_path / "roomcast.toml"
    token = '[[auth.tokens]]\ntoken = "token-of-{role}-long"\nmember = "{role}"\nrole = "{role}"\n'
    settings.write_text('[auth]\nmode = "token"\n' + token.format(role="speaker") + token.format(role="viewer"))
    model.script(saying("On and on", HANG))
    with roomcast_server(tmp_path / "data", "--config", str(settings), environ=at(model)) as server:
        context = await browser.new_context()
        await context.add_init_script(
            "sessionStorage.setItem('roomcast.token', JSON.stringify(`token-of-${location.hash.slice(1)}-long`))"
        )
        speaker, viewer = await context.new_page(), await context.new_page()
        await speaker.goto(f"{server.url}/#speaker")
        await viewer.goto(f"{server.url}/#viewer")
        await speaker.get_by_role("textbox", name="Message").fill("Go")
        await speaker.get_by_role("textbox", name="Message").press("Enter")
        await expect(viewer.locator(".answer .md")).to_have_text("On and on")
        await expect(speaker.get_by_role("button", name="Stop", exact=True)).to_be_visible()
        await expect(viewer.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
        await expect(viewer.get_by_role("textbox", name="Message")).to_be_disabled()
        await context.close()
