"""Tests of web/markdown.js and web/markdown-view.js: safe by construction, and cheap while it grows."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

SHOW = """
async ({ texts, done }) => {
  const { html, render } = await import("/lib.js");
  const { Markdown } = await import("/markdown-view.js");
  const place = document.querySelector("main");
  const wait = () => new Promise((resolve) => setTimeout(resolve, 40));
  render(null, place);
  for (const [index, text] of texts.entries()) {
    const last = index === texts.length - 1;
    render(html`<${Markdown} text=${text} done=${done && last} />`, place);
    if (!last) await wait();
  }
  const made = place.firstElementChild.cloneNode(true);
  // The order of attributes tells how a node came about, not what it is.
  for (const node of made.querySelectorAll("*")) {
    const attributes = [...node.attributes].sort((one, other) => (one.name < other.name ? -1 : 1));
    for (const { name } of attributes) node.removeAttribute(name);
    for (const { name, value } of attributes) node.setAttribute(name, value);
  }
  return made.innerHTML;
}
"""

DOCUMENT = """# Tides

The moon *pulls*, the sea **follows**; see `tide()` and [more][ref].
A line that goes on

- one
- two
  - deeper

  with a paragraph
1. first
2. second

| when | height |
|:-----|-------:|
| noon | 3 m    |
| late | 1 m    |

```python
def tide():  # comment
    return "high"
```

> quoted
> twice

Setext
---

- [x] done
- [ ] open

مرحبا بالعالم &amp; more &#8364;

[ref]: https://example.com/tides
"""


async def show(page: Page, *texts: str, done: bool = True) -> str:
    return str(await page.evaluate(SHOW, {"texts": list(texts), "done": done}))


async def ask(page: Page, script: str, argument: Any = None) -> Any:
    return await page.evaluate(script, argument)


@pytest.mark.parametrize("step", [1, 7, 40])
async def test_text_that_grew_ends_as_text_that_came_at_once(page: Page, step: int) -> None:
    pieces = [DOCUMENT[:end] for end in range(step, len(DOCUMENT), step * 6)]
    assert await show(page, *pieces, DOCUMENT) == await show(page, DOCUMENT)


async def test_blocks_that_cannot_change_any_more_keep_their_nodes(page: Page) -> None:
    kept = await ask(
        page,
        """async (paragraphs) => {
          const { html, render } = await import("/lib.js");
          const { Markdown } = await import("/markdown-view.js");
          const place = document.querySelector("main");
          const draw = (text) => render(html`<${Markdown} text=${text} done=${false} />`, place);
          const wait = () => new Promise((resolve) => setTimeout(resolve, 60));
          draw(paragraphs.slice(0, 5).join("\\n\\n"));
          const first = place.querySelector("p");
          let touched = 0;
          const everything = { subtree: true, childList: true, characterData: true };
          new MutationObserver((changes) => (touched += changes.length)).observe(first, everything);
          for (let count = 6; count <= paragraphs.length; count += 1) {
            await wait();
            draw(paragraphs.slice(0, count).join("\\n\\n"));
          }
          return { same: place.querySelector("p") === first, touched, count: place.querySelectorAll("p").length };
        }""",
        [f"Paragraph **{number}**." for number in range(12)],
    )
    assert kept == {"same": True, "touched": 0, "count": 12}


async def test_the_cost_of_an_update_does_not_grow_with_the_text(page: Page) -> None:
    """Counted in characters that were lexed, not in time: at the end the last two blocks, not everything."""
    lexed = await ask(
        page,
        """async () => {
          const { Lexer } = await import("/vendor/marked.js");
          const { GrowingMarkdown } = await import("/markdown.js");
          const lex = Lexer.prototype.lex;
          const seen = [];
          Lexer.prototype.lex = function (source) { seen.push(source.length); return lex.call(this, source); };
          const growing = new GrowingMarkdown();
          let text = "";
          for (let index = 0; index < 60; index += 1) {
            text += `Paragraph ${index}, which is of some length.\\n\\n`;
            growing.update(text, false);
            await new Promise((resolve) => setTimeout(resolve, 8));
          }
          return { total: text.length, last: seen.at(-1), updates: seen.length };
        }""",
    )
    assert lexed["updates"] > 20
    assert lexed["last"] < lexed["total"] / 5


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><animate onbegin=alert(1)></svg>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "text <b onmouseover=alert(1)>bold</b> text",
    "<style>body{display:none}</style>",
    "<!-- <img src=x onerror=alert(1)> -->",
    '<a href="https://example.com">html link</a>',
    "&lt;img src=x onerror=alert(1)&gt;",
    "`<img src=x>`",
    "```html\n<img src=x onerror=alert(1)>\n```",
    "| <img src=x> |\n|---|\n| <script>alert(1)</script> |",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "letter by letter"])
async def test_x1_html_in_a_text_is_shown_as_text(page: Page, text: str, split: bool) -> None:
    pieces = [text[:end] for end in range(1, len(text), 3)] if split else []
    await show(page, *pieces, text)
    made = await ask(page, "() => [...document.querySelectorAll('main *')].map((node) => node.localName)")
    allowed = {
        "div",
        "p",
        "code",
        "pre",
        "figure",
        "figcaption",
        "span",
        "button",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert set(made) <= allowed
    shown = await ask(page, "() => document.querySelector('main').textContent")
    tag = next(
        piece
        for piece in ("<img", "<script", "<svg", "<iframe", "<b", "<style", "<!--", "<a", "&lt;img")
        if piece in text
    )
    assert tag.replace("&lt;", "<") in shown


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#10;script:alert(1)",
        "&#106;avascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "//example.com/x",
        "/r/lobby",
    ],
)
async def test_x1_links_lead_to_safe_places_only(page: Page, address: str) -> None:
    await show(page, f"[label]({address}) and ![picture]({address}) and <{address}>")
    assert await ask(page, "() => document.querySelectorAll('a').length") == 0


async def test_a_link_opens_elsewhere_and_tells_nobody_where_from(page: Page) -> None:
    shown = await show(page, '[label](https://example.com/a?b=1&c=2 "title") <mailto:a@example.com>')
    links = await ask(page, "() => [...document.links].map((link) => [link.href, link.target, link.rel, link.title])")
    assert links == [
        ["https://example.com/a?b=1&c=2", "_blank", "noopener noreferrer nofollow", "https://example.com/a?b=1&c=2"],
        ["mailto:a@example.com", "_blank", "noopener noreferrer nofollow", "mailto:a@example.com"],
    ]
    assert "label" in shown


async def test_x2_a_picture_is_a_link_and_nothing_is_loaded(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await show(
        page, "![the secret](http://127.0.0.1:9/?q=secret)\n\n![x][beacon]\n\n[beacon]: http://127.0.0.1:9/?q=two"
    )
    assert await ask(page, "() => document.querySelectorAll('img, picture, video, audio, object, embed').length") == 0
    assert await ask(page, "() => [...document.links].map((link) => link.textContent)") == [
        "picturethe secret",
        "picturex",
    ]
    assert [url for url in asked if "secret" in url or "two" in url] == []


async def test_half_a_construct_does_not_flash_as_its_signs(page: Page) -> None:
    halves = {
        "a **bol": "a bol",
        "a *": "a ",
        "see `cod": "see cod",
        "see [the do": "see the do",
        "see [the docs](https://exa": "see the docs",
        "Text\n-": "Text",
        "done\n\n| a | b |\n|--": "done",
    }
    for half, shown in halves.items():
        await show(page, half, done=False)
        text = await ask(page, "() => document.querySelector('main').textContent")
        assert text.strip() == shown.strip(), half


async def test_nothing_is_mended_at_the_end(page: Page) -> None:
    assert "a **bol" in await show(page, "a **bol")


async def test_every_paragraph_finds_its_own_direction(page: Page) -> None:
    await show(page, "left to right\n\nنص عربي\n\n- نص\n- two")
    directions = (
        "() => [...document.querySelectorAll('main p, main li')].map((node) => getComputedStyle(node).direction)"
    )
    assert await ask(page, directions) == ["ltr", "rtl", "rtl", "ltr"]


async def test_code_can_be_copied_as_it_is_also_where_the_clipboard_is_closed(page: Page) -> None:
    await page.evaluate(
        """() => {
          globalThis.copied = [];
          document.execCommand = () => copied.push(document.activeElement.value) > 0;
          Object.defineProperty(navigator, "clipboard", { value: undefined });
        }"""
    )
    await show(page, "```python\nprint('<b>')\n```")
    await page.get_by_role("button", name="Copy").click()
    await page.get_by_role("button", name="Copied").wait_for()
    assert await ask(page, "() => copied") == ["print('<b>')"]
