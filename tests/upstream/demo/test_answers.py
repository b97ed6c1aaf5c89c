"""Tests of roomcast/upstream/demo/answers.py."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from roomcast.upstream.demo.answers import ANSWERS, GENERAL, Answer
from roomcast.upstream.demo.tokens import split

BY_NAME = {answer.name: answer for answer in ANSWERS}


def test_no_word_calls_for_two_answers() -> None:
    calls = Counter(call for answer in ANSWERS for call in answer.calls)
    assert [call for call, times in calls.items() if times > 1] == []


def test_calls_are_written_as_they_are_looked_for() -> None:
    calls = [call for answer in ANSWERS for call in answer.calls]
    assert [call for call in calls if call != " ".join(re.findall(r"\w+", call.casefold()))] == []


def test_each_name_is_used_once_and_what_is_general_is_among_all() -> None:
    assert len(BY_NAME) == len(ANSWERS)
    assert set(GENERAL) < set(ANSWERS)


def test_the_python_it_shows_compiles() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", BY_NAME["python"].text, re.S)
    compile(source, "example", "exec")


def test_the_rows_of_the_table_have_as_many_cells_as_its_head() -> None:
    rows = [line for line in BY_NAME["table"].text.splitlines() if line.startswith("|")]
    assert len(rows) > 3
    assert len({row.count("|") for row in rows}) == 1


def test_the_long_one_is_long_and_the_short_one_short() -> None:
    assert 500 <= len(split(BY_NAME["story"].text, seed="any")) <= 800
    assert len(split(BY_NAME["short"].text, seed="any")) <= 20


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("emoji", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"),
        ("right-to-left", "\u05e9\u05dc\u05d5\u05dd"),
        ("right-to-left", "\u063a\u0631\u0641\u0629"),
        ("javascript", "```javascript\n"),
        ("list", "\n  - "),
        ("what", "**roomcast**"),
    ],
)
def test_together_they_show_each_kind_of_text(name: str, sign: str) -> None:
    assert sign in BY_NAME[name].text


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_code_that_is_opened_is_closed(answer: Answer) -> None:
    assert answer.text.count("```") % 2 == 0
    assert re.sub(r"```.*?```", "", answer.text, flags=re.S).count("`") % 2 == 0
