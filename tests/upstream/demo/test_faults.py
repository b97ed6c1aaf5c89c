"""Tests of roomcast/upstream/demo/faults.py."""

from __future__ import annotations

import pytest

from roomcast.upstream.demo.asking import Rejection
from roomcast.upstream.demo.faults import Fault, FaultKind, FaultSource, check, parse
from tests.upstream.demo.scenes import ask


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("!fault cut", Fault(FaultKind.CUT)),
        ("!fault cut after_tokens=5", Fault(FaultKind.CUT, after_tokens=5)),
        ("!fault 429 retry_after=1 times=2", Fault(FaultKind.RATE_LIMITED, status=429, retry_after="1", times=2)),
        ("!fault 503", Fault(FaultKind.STATUS, status=503)),
        ("!fault html status=502", Fault(FaultKind.HTML, status=502)),
        ("!fault  drip  every_ms=2.5 count=7 ", Fault(FaultKind.DRIP, every_ms=2.5, count=7)),
    ],
)
def test_a_directive_is_read_as_data_and_taken_off_the_prompt(line: str, fault: Fault) -> None:
    assert parse(f"{line}\nhow are you?\nwell?") == (fault, "how are you?\nwell?")
    assert parse(line) == (fault, "")


@pytest.mark.parametrize("prompt", ["", "hello", "please !fault cut", "!faulty", "hello\n!fault cut"])
def test_without_a_directive_in_front_the_prompt_is_left_alone(prompt: str) -> None:
    assert parse(prompt) == (None, prompt)


@pytest.mark.parametrize(
    "line", ["!fault", "!fault nonsense", "!fault cut after=5", "!fault cut after_tokens=x", "!fault cut after_tokens"]
)
def test_a_directive_with_a_mistake_is_refused(line: str) -> None:
    with pytest.raises(Rejection):
        parse(line)


def test_directives_are_plain_text_unless_they_were_allowed() -> None:
    assert FaultSource(directives=False).draw("!fault cut") == (None, "!fault cut")
    assert FaultSource(directives=True).draw("!fault cut") == (Fault(FaultKind.CUT), "")


def test_a_directive_with_a_number_of_times_strikes_so_often_for_each_prompt() -> None:
    source = FaultSource(directives=True)
    drawn = [source.draw("!fault 500 times=2\nhi")[0] is not None for _ in range(4)]
    assert drawn == [True, True, False, False]
    assert source.draw("!fault 500 times=2\nother") == (Fault(FaultKind.STATUS, status=500, times=2), "other")
    assert source.draw("!fault 500 times=2\nhi") == (None, "hi")


def test_injected_faults_strike_first_and_in_order() -> None:
    source = FaultSource(directives=True)
    source.inject(Fault(FaultKind.EOF), times=2)
    source.inject(Fault(FaultKind.CUT))
    kinds = [fault.kind for fault, _ in (source.draw("!fault mute") for _ in range(4)) if fault]
    assert kinds == [FaultKind.EOF, FaultKind.EOF, FaultKind.CUT, FaultKind.MUTE]


def test_injected_faults_can_be_taken_back() -> None:
    source = FaultSource(directives=False)
    source.inject(Fault(FaultKind.EOF), times=2)
    source.clear()
    assert source.draw("hi") == (None, "hi")


@pytest.mark.parametrize(
    ("kind", "api", "stream", "possible"),
    [
        (FaultKind.FAILED, "responses", True, True),
        (FaultKind.FAILED, "chat", True, False),
        (FaultKind.TWO_CHOICES, "chat", True, True),
        (FaultKind.TWO_CHOICES, "responses", True, False),
        (FaultKind.MALFORMED, "chat", True, True),
        (FaultKind.MALFORMED, "chat", False, False),
        (FaultKind.STATUS, "responses", False, True),
    ],
)
def test_a_fault_that_has_no_meaning_for_the_request_is_refused(
    kind: FaultKind, api: str, stream: bool, possible: bool
) -> None:
    asked = ask(api, {"stream": stream})
    if possible:
        check(Fault(kind), asked)
    else:
        with pytest.raises(Rejection):
            check(Fault(kind), asked)
