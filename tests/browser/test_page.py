"""Tests of the page from the outside: real server, real browser, a model that says what it is told."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Enter, saying
from tests.support.hostile_upstream import HANG, HostileUpstream, Until

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_two_windows_see_the_same_answer_arrive(enter: Enter, model: HostileUpstream) -> None:
    rest = asyncio.Event()
    model.script(saying("One stream, ", "two ", Until(rest), "windows."))
    ada, bo = await enter("Ada"), await enter("Bo")
    await ada.say("What is this?")
    for visitor in (ada, bo):
        await expect(visitor.text).to_have_text("One stream, two")
        await expect(visitor.answer).to_have_attribute("data-status", "in_progress")
    rest.set()
    for visitor in (ada, bo):
        await visitor.until("completed")
        await expect(visitor.text).to_have_text("One stream, two windows.")
        await expect(visitor.messages).to_have_count(1)
    await expect(bo.answer.locator("header")).to_contain_text("Answer for Ada")
    await expect(bo.answer.locator("footer")).to_contain_text("7 tokens")


async def test_stop_in_one_window_stops_both_and_tells_who(enter: Enter, model: HostileUpstream) -> None:
    model.script(saying("This goes on and ", "on", HANG))
    ada, bo = await enter("Ada"), await enter("Bo")
    await ada.say("Tell me everything")
    await expect(ada.text).to_have_text("This goes on and on")
    await bo.page.get_by_role("button", name="Stop", exact=True).click()
    for visitor, by in ((ada, "Stopped by Bo"), (bo, "Stopped by you")):
        await visitor.until("cancelled")
        await expect(visitor.answer).to_contain_text(by)
        await expect(visitor.text).to_have_text("This goes on and on")
    await asyncio.wait_for(model.requests[-1].hung_up.wait(), 30)


async def test_a_reload_in_mid_stream_misses_and_repeats_nothing(enter: Enter, model: HostileUpstream) -> None:
    middle, rest = asyncio.Event(), asyncio.Event()
    model.script(saying("# One\n\nFirst **half", Until(middle), "** and\n\n- a\n- b", Until(rest), "\n- c\n\nEnd."))
    ada, bo = await enter("Ada"), await enter("Bo")
    await ada.say("Go on")
    await expect(ada.text).to_contain_text("First half")
    await ada.page.reload()
    middle.set()
    await expect(ada.text.locator("li")).to_have_count(2)
    await ada.page.reload()
    rest.set()
    await ada.until("completed")
    await bo.until("completed")
    assert await ada.text.inner_html() == await bo.text.inner_html()
    await ada.page.reload()
    await ada.until("completed")
    assert await ada.text.inner_text() == await bo.text.inner_text()
    assert [await visitor.messages.count() for visitor in (ada, bo)] == [1, 1]


async def test_questions_wait_in_line_and_can_be_taken_back(enter: Enter, model: HostileUpstream) -> None:
    rest = asyncio.Event()
    model.script(saying("First", Until(rest), "."), saying("Third."))
    ada, bo = await enter("Ada"), await enter("Bo")
    await ada.say("one")
    await expect(ada.text).to_have_text("First")
    await bo.say("two **bold**")
    await ada.say("three")
    line = bo.page.get_by_role("region", name="In line").get_by_role("listitem")
    await expect(line).to_have_count(2)
    await expect(line.first).to_contain_text("two bold")
    await bo.page.get_by_role("button", name="Cancel the question of you").click()
    await expect(line).to_have_count(1)
    await expect(ada.answers.nth(1)).to_contain_text("Withdrawn by Bo")
    rest.set()
    await expect(ada.answer).to_have_attribute("data-status", "completed")
    await expect(ada.text).to_have_text("Third.")
    await expect(ada.page.get_by_role("region", name="In line")).to_have_count(0)


async def test_people_see_who_is_here_and_who_writes(enter: Enter) -> None:
    ada, bo = await enter("Ada"), await enter("Bo")
    here = ada.page.get_by_role("complementary").get_by_role("listitem")
    await expect(here).to_have_count(2)
    await bo.composer.press_sequentially("I am wri")
    await expect(ada.page.get_by_text("Bo is typing")).to_be_visible()
    await bo.composer.fill("")
    await expect(ada.page.get_by_text("Bo is typing")).to_have_count(0)
    await bo.page.context.close()
    await expect(here).to_have_count(1)


async def test_a_new_name_is_kept_and_seen_by_everybody(enter: Enter, model: HostileUpstream) -> None:
    ada, bo = await enter("Ada"), await enter("Bo")
    form = ada.page.get_by_role("complementary")
    await form.get_by_label("Your name").fill("Ada the Second")
    await form.get_by_role("button", name="Save").click()
    await expect(bo.page.get_by_role("complementary")).to_contain_text("Ada the Second")
    await ada.page.reload()
    await ada.until_live()
    model.script(saying("Yes."))
    await ada.say("Is it me?")
    await expect(bo.answer.locator("header")).to_contain_text("Ada the Second")


async def test_what_is_only_said_is_not_answered(enter: Enter) -> None:
    ada, bo = await enter("Ada"), await enter("Bo")
    await ada.page.get_by_text("Just say").click()
    await ada.say("Only for people")
    await expect(bo.messages).to_have_count(1)
    await expect(bo.answers).to_have_count(0)


async def test_a_failed_answer_says_so_in_words_and_can_be_asked_again(enter: Enter, model: HostileUpstream) -> None:
    model.script(saying("It began well", ".", finish=None), saying("Second try."))
    ada = await enter("Ada")
    await ada.say("Try")
    await ada.until("incomplete")
    await expect(ada.answer).to_contain_text("The model broke off before it had finished.")
    await ada.page.get_by_role("button", name="Ask again").click()
    await expect(ada.answers).to_have_count(2)
    await expect(ada.text).to_have_text("Second try.")


async def test_enter_sends_and_shift_enter_breaks_the_line(enter: Enter, model: HostileUpstream) -> None:
    model.script(saying("Yes."))
    ada = await enter("Ada")
    await expect(ada.composer).to_be_focused()
    await ada.page.keyboard.type("one")
    await ada.page.keyboard.press("Shift+Enter")
    await ada.page.keyboard.type("two")
    await expect(ada.messages).to_have_count(0)
    await ada.page.keyboard.press("Enter")
    await expect(ada.messages.locator(".md")).to_have_text("one\ntwo", use_inner_text=True)
    await expect(ada.composer).to_have_value("")


async def test_esc_stops_the_answer_but_only_from_an_empty_field(enter: Enter, model: HostileUpstream) -> None:
    model.script(saying("On and on", HANG))
    ada = await enter("Ada")
    await ada.say("Go")
    await expect(ada.text).to_have_text("On and on")
    await ada.page.keyboard.type("a draft")
    await ada.page.keyboard.press("Escape")
    await expect(ada.composer).to_have_value("a draft")
    await expect(ada.answer).to_have_attribute("data-status", "in_progress")
    await ada.composer.fill("")
    await ada.page.keyboard.press("Escape")
    await ada.until("cancelled")


async def test_sentences_are_announced_and_tokens_are_not(enter: Enter, model: HostileUpstream) -> None:
    rest = asyncio.Event()
    model.script(saying("The first", " sentence **ends**. The", " second is", Until(rest), " complete now."))
    ada = await enter("Ada")
    log, announcer = ada.page.get_by_role("log"), ada.page.locator("#announcer")
    await ada.say("Read it to me")
    await expect(announcer).to_have_text("The first sentence ends.")
    await expect(log).to_have_attribute("aria-live", "off")
    await expect(announcer).to_have_attribute("aria-live", "polite")
    rest.set()
    await expect(announcer).to_contain_text("The second is complete now. End of the answer.")


async def test_who_has_scrolled_up_to_read_is_left_alone(enter: Enter, model: HostileUpstream) -> None:
    rest = asyncio.Event()
    lines = [f"Line {number} of a long answer.\n\n" for number in range(60)]
    model.script(saying(*lines, Until(rest), *lines), saying("New."))
    ada = await enter("Ada")
    await ada.say("Tell me a lot")
    await expect(ada.text.locator("p")).to_have_count(60)
    position = "(() => { const box = document.querySelector('.chat'); return [box.scrollTop, box.scrollHeight - box.scrollTop - box.clientHeight]; })()"  # noqa: E501
    assert await at_rest(ada.page, f"{position}[1]") < 5
    await ada.page.mouse.move(500, 300)
    await ada.page.mouse.wheel(0, -900)
    await expect(ada.page.get_by_role("button", name="To the newest")).to_be_visible()
    before = await at_rest(ada.page, f"{position}[0]")
    rest.set()
    await ada.until("completed")
    assert (await ada.page.evaluate(position))[0] == before
    await ada.page.get_by_role("button", name="To the newest").click()
    await expect(ada.answer.locator("footer")).to_be_in_viewport()


async def test_a_token_touches_no_older_message(enter: Enter, model: HostileUpstream) -> None:
    rest = asyncio.Event()
    model.script(saying("Old **answer**.\n\n```py\nx = 1\n```"), saying("New", Until(rest), *[" word"] * 200))
    ada = await enter("Ada")
    await ada.say("one")
    await ada.until("completed")
    await ada.say("two")
    await expect(ada.text).to_have_text("New")
    await ada.page.evaluate(
        """() => {
          globalThis.touched = 0;
          const watcher = new MutationObserver((changes) => (touched += changes.length));
          for (const entry of [...document.querySelectorAll(".message, .answer")].slice(0, 3)) {
            watcher.observe(entry, { subtree: true, childList: true, characterData: true, attributes: true });
          }
        }"""
    )
    rest.set()
    await ada.until("completed")
    assert await ada.page.evaluate("() => touched") == 0


async def at_rest(page: Page, expression: str) -> float:
    """The value of what moves, when it has not moved for half a second. Not by frames: a busy machine draws few."""
    found: float = await page.evaluate(
        f"""async () => {{
          for (let last = NaN, still = 0; still < 10; ) {{
            const now = {expression};
            still = now === last ? still + 1 : 0;
            last = now;
            await new Promise((next) => setTimeout(next, 50));
          }}
          return {expression};
        }}"""
    )
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_nothing_is_wider_than_a_phone(enter: Enter, model: HostileUpstream, dark: bool) -> None:
    wide = "| " + " | ".join(f"column {number}" for number in range(12)) + " |\n|" + "---|" * 12 + "\n|" + " x |" * 12
    model.script(saying(f"{'long' * 60}\n\n```\n{'wide ' * 60}\n```\n\n{wide}\n\n`{'code' * 60}`"))
    ada = await enter("Ada with a name that is rather long", phone=True, dark=dark)
    await ada.say("w" * 300)
    await ada.until("completed")
    overflow = "() => document.documentElement.scrollWidth - innerWidth"
    assert await ada.page.evaluate(overflow) <= 0
    chat = "() => { const box = document.querySelector('.chat'); return box.scrollWidth - box.clientWidth; }"
    assert await ada.page.evaluate(chat) <= 0
    await ada.page.get_by_role("button", name="here now").click()
    await expect(ada.page.locator("#people")).to_be_in_viewport(ratio=1)
    background = await ada.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert ("0.19" in background or "rgb(1" in background) == dark


async def test_the_theme_can_be_changed_and_stays(enter: Enter) -> None:
    ada = await enter("Ada")
    await ada.page.get_by_role("button", name="Dark colours").click()
    await ada.page.reload()
    await ada.until_live()
    await expect(ada.page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_older_messages_come_when_asked_for(enter: Enter) -> None:
    ada = await enter("Ada")
    await ada.page.get_by_text("Just say").click()
    for number in range(60):
        await ada.say(f"note {number}")
    await expect(ada.messages).to_have_count(60)
    await ada.page.reload()
    await expect(ada.messages).to_have_count(50)
    await ada.page.get_by_role("button", name="Load earlier").click()
    await expect(ada.messages).to_have_count(60)
    await expect(ada.messages.first).to_contain_text("note 0")
    await expect(ada.page.get_by_role("button", name="Load earlier")).to_have_count(0)


async def test_rooms_do_not_see_each_other(enter: Enter, model: HostileUpstream, room: str) -> None:
    model.script(saying("A secret."))
    ada, bo = await enter("Ada"), await enter("Bo", room=f"{room}-2")
    await ada.say("Tell me a secret")
    await ada.until("completed")
    await expect(bo.messages).to_have_count(0)
    await bo.page.get_by_title("Change the room").click()
    await bo.page.get_by_label("Go to a room").fill(room)
    await bo.page.get_by_role("button", name="Go", exact=True).click()
    await expect(bo.text).to_have_text("A secret.")
