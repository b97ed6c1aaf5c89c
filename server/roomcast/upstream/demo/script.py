"""Choose what to say to a prompt, and say first that it is simulated and what was asked.

Pure, and a function of the seed and the prompt alone (D1).
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator

from roomcast.upstream.demo.answers import ANSWERS, GENERAL, Answer
from roomcast.upstream.demo.tokens import graphemes

__all__ = ["choose", "quote", "reply"]

_QUOTE_LIMIT = 160
_COUNT_LIMIT = 2_000
_COUNT = re.compile(r"\bcount (?:up )?to (\d{1,9})\b")
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~&]")
_JOINERS = "\u200c\u200d"
"""Invisible, and yet part of what people write: Persian words and emoji families fall apart without them."""


def reply(prompt: str, *, seed: int) -> str:
    """Return the whole answer to `prompt`, in Markdown."""
    asked = quote(prompt)
    opening = f"*Simulated answer of the demo model.* You wrote:\n\n> {asked}" if asked else _NOTHING_ASKED
    return f"{opening}\n\n{_body(prompt, seed)}"


def quote(prompt: str) -> str:
    """Return the start of `prompt` as one line that cannot turn into markup, controls or a change of direction."""
    line = " ".join("".join(_visible(prompt)).split())
    shown = list(graphemes(line))
    if len(shown) > _QUOTE_LIMIT:
        line = "".join(shown[:_QUOTE_LIMIT]).rstrip() + "…"
    escaped = _MARKUP.sub(r"\\\g<0>", line)
    # These are markup only where a line starts: headings, lists, rules.
    return f"\\{escaped}" if escaped[:1] in tuple("#+-=") else re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)


def choose(prompt: str) -> Answer | None:
    """Return the answer whose words and phrases occur most in `prompt`, or `None` when none does."""
    text = unicodedata.normalize("NFC", prompt).casefold()
    words = re.findall(r"\w+", text)
    line = f" {' '.join(words)} "
    best, best_score = None, 0
    for answer in ANSWERS:
        # Each call counts by its number of words, so "tell me a story" outweighs a "python" in the same prompt.
        score = sum(len(call.split()) for call in answer.calls if f" {call} " in line)
        if score and score >= best_score:
            best, best_score = answer, score
    return best


_NOTHING_ASKED = "*Simulated answer of the demo model.* Your prompt held no text."


def _body(prompt: str, seed: int) -> str:
    if counting := _COUNT.search(prompt.casefold()):
        return _count_to(int(counting[1]))
    if answer := choose(prompt):
        return answer.text
    # As bytes, because a string with half a surrogate pair makes no seed.
    general = random.Random(f"choose/{seed}/{prompt}".encode("utf-8", "replace")).choice(GENERAL)
    return f"I am a script and have no answer to that, but perhaps this is of use:\n\n{general.text}"


def _count_to(last: int) -> str:
    if last > _COUNT_LIMIT:
        return f"That is a long way. Here is the start of it.\n\n{_count_to(_COUNT_LIMIT)}"
    return " ".join(str(number) for number in range(1, last + 1))


def _visible(text: str) -> Iterator[str]:
    for char in text:
        match unicodedata.category(char):
            case "Cc" | "Zl" | "Zp":
                yield " "
            case "Cs":
                yield "\ufffd"
            case "Cf" if char not in _JOINERS and not "\U000e0020" <= char <= "\U000e007f":
                continue
            case _:
                yield char
