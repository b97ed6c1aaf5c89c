"""Tests of the page against texts and names that attack: nothing runs, nothing is loaded, everything shows as text."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Enter, saying
from tests.support.hostile_upstream import HostileUpstream

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

PAYLOADS = """<img src=x onerror="alert('img')"> and <script>alert('script')</script>

<svg onload=alert('svg')><animate onbegin=alert('animate')></svg>

<iframe srcdoc="<script>alert('frame')</script>"></iframe> <a href="javascript:alert('a')">a</a>

[link](javascript:alert('link')) [data](data:text/html,<script>alert('data')</script>) <javascript:alert('auto')>

```mermaid
graph LR; A["<img src=x onerror=alert('mermaid')>"] --> B
```

$$\\href{javascript:alert('katex')}{x}$$

<details open ontoggle=alert('toggle')><style>*{display:none}</style></details>
"""
SHOWN = ("<img src=x", "<script>alert('script')</script>", "<svg onload", "javascript:alert('link')", "<style>")
ALLOWED = {
    *(
        "article",
        "header",
        "footer",
        "div",
        "span",
        "bdi",
        "time",
        "p",
        "pre",
        "code",
        "figure",
        "figcaption",
        "button",
    ),
    *("svg", "path", "circle", "rect", "i"),  # the page's own pictures
}


@pytest.mark.parametrize("size", [1, 7, 2_000], ids=["letter by letter", "in pieces", "at once"])
async def test_x1_markup_of_a_model_is_shown_and_not_run(enter: Enter, model: HostileUpstream, size: int) -> None:
    model.script(saying(*[PAYLOADS[at : at + size] for at in range(0, len(PAYLOADS), size)]))
    ada = await enter("Ada")
    await ada.say("Attack me")
    await ada.until("completed")
    for shown in SHOWN:
        await expect(ada.text).to_contain_text(shown)
    made = await ada.page.evaluate("() => [...document.querySelectorAll('.timeline *')].map((node) => node.localName)")
    assert set(made) <= ALLOWED
    assert await ada.page.evaluate("() => [...document.links].filter((link) => link.closest('.timeline')).length") == 0


async def test_x1_markup_of_a_person_is_shown_and_not_run(enter: Enter, model: HostileUpstream) -> None:
    model.script(saying("Nice try."))
    ada, bo = await enter("Ada"), await enter("Bo")
    await ada.say(PAYLOADS)
    await bo.until("completed")
    for shown in SHOWN:
        await expect(bo.messages.locator(".md")).to_contain_text(shown)


async def test_x2_no_request_leaves_for_what_a_model_names(enter: Enter, model: HostileUpstream) -> None:
    """The model's own service stands in for the attacker's: it would see a request."""
    place = f"http://127.0.0.1:{model.port}/stolen"
    model.script(
        saying(
            f"![a picture]({place}?by=markdown) <img src={place}?by=html>\n\n",
            f"![by reference][ref] <link rel=stylesheet href={place}?by=css>\n\n[ref]: {place}?by=reference\n\n",
            f"<style>@import '{place}?by=import'</style>\n\n[a link]({place}?by=link)",
        )
    )
    ada = await enter("Ada")
    await ada.say("Steal it")
    await ada.until("completed")
    await ada.text.get_by_role("link", name="a link").hover()
    await ada.page.reload()
    await ada.until("completed")
    assert [request.path for request in model.requests if "stolen" in request.path] == []
    link = ada.text.get_by_role("link", name="a link")
    assert await link.get_attribute("rel") == "noopener noreferrer nofollow"


async def test_x7_a_name_in_markup_is_a_name(enter: Enter, model: HostileUpstream) -> None:
    name = "<img src=x onerror=alert(7)>"
    model.script(saying("Hello."))
    eve, ada = await enter(name), await enter("Ada")
    await eve.say("Who am I?")
    await ada.until("completed")
    await expect(ada.messages.locator(".name")).to_have_text(name)
    await expect(ada.answer.locator("header")).to_contain_text(name)
    await expect(ada.page.get_by_role("complementary")).to_contain_text(name)
    assert await ada.page.locator("img").count() == 0


async def test_a_name_cannot_turn_the_text_around_it(enter: Enter) -> None:
    arabic, ada = await enter("عمر"), await enter("Ada")
    await arabic.page.get_by_text("Just say").click()
    await arabic.say("مرحبا بالجميع")
    await expect(ada.messages.locator("bdi")).to_have_text("عمر")
    direction = "(node) => getComputedStyle(node).direction"
    assert await ada.messages.locator(".md p").evaluate(direction) == "rtl"
    assert await ada.messages.locator("header").evaluate(direction) == "ltr"


async def test_the_policy_of_the_page_forbids_scripts_of_others(enter: Enter) -> None:
    """The second wall: even if a node slipped in, it could not run or load."""
    ada = await enter("Ada")
    ran = await ada.page.evaluate(
        """async () => {
          const tries = { inline: false, html: "allowed", eval: "allowed" };
          globalThis.ranInline = () => (tries.inline = true);
          try { document.body.insertAdjacentHTML("beforeend", "<i></i>"); } catch { tries.html = "refused"; }
          try { setTimeout("ranInline()", 0); } catch { tries.eval = "refused"; }
          const button = document.createElement("button");
          try { button.setAttribute("onclick", "ranInline()"); button.click(); } catch { tries.handler = "refused"; }
          await new Promise((resolve) => setTimeout(resolve, 50));
          return tries;
        }"""
    )
    assert (ran["inline"], ran["html"], ran["eval"]) == (False, "refused", "refused")
    assert ada.troubles.said != []
    ada.troubles.said.clear()
