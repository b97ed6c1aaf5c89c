"""Tests of roomcast/client/answers.py. A1 … A3 are the invariants of its header."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.client.answers import Answer, Answers
from roomcast.core.events import JsonObject
from tests.client.scripted import as_event, created, delta, snapshot, terminal


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def folded(*events: JsonObject) -> Answers:
    answers = Answers()
    for event in events:
        answers.apply(as_event(event))
    return answers


def the(answers: Answers, response_id: str = "resp_1") -> Answer:
    answer = answers.find(response_id)
    assert answer is not None
    return answer


def part(kind: str, item: str = "msg_resp_1", output: int = 0, content: int = 0, **fields: Any) -> JsonObject:
    at = {"item_id": item, "output_index": output, "content_index": content}
    return {"type": kind, "seq": 1, "response_id": "resp_1", **at, **fields}


def message(item_id: str, *texts: str, **fields: Any) -> JsonObject:
    content = [{"type": "output_text", "text": text} for text in texts]
    return {"id": item_id, "type": "message", "role": "assistant", "content": content, **fields}


def test_deltas_add_up_to_the_text() -> None:
    answer = the(folded(created(1), delta(2, "Hel"), delta(3, "lo")))
    assert (answer.text, answer.status, answer.ended) == ("Hello", "in_progress", False)


def test_the_text_goes_by_output_and_content_index_not_by_arrival() -> None:
    """A1."""
    kind = "response.output_text.delta"
    answer = the(
        folded(
            created(1),
            part(kind, item="msg_b", output=1, delta="three"),
            part(kind, item="msg_a", content=1, delta="two "),
            part(kind, item="msg_a", content=0, delta="one "),
        )
    )
    assert answer.text == "one two three"


def test_a_whole_text_counts_where_no_deltas_came() -> None:
    answer = the(folded(created(1), part("response.output_text.done", text="Hello")))
    assert answer.text == "Hello"


def test_a_whole_item_counts_where_no_deltas_came() -> None:
    done = {"type": "response.output_item.done", "seq": 2, "response_id": "resp_1", "output_index": 0}
    answer = the(folded(created(1), {**done, "item": message("msg_a", "Hel", "lo")}))
    assert answer.text == "Hello"


def test_the_digest_of_the_end_is_checked() -> None:
    """A1."""
    right = the(folded(created(1), delta(2, "Hé"), terminal(3, digest=digest("Hé"))))
    wrong = the(folded(created(1), delta(2, "He"), terminal(3, digest=digest("Hé"))))
    assert (right.verified, wrong.verified) == (True, False)


def test_no_text_has_a_digest_too() -> None:
    assert the(folded(created(1), terminal(2, "failed", digest=digest("")))).verified is True


def test_a_refusal_is_neither_text_nor_in_the_digest() -> None:
    answer = the(
        folded(
            created(1),
            part("response.refusal.delta", delta="I will "),
            part("response.refusal.done", refusal="I will not"),
            terminal(3, digest=digest("")),
        )
    )
    assert (answer.text, answer.refusal, answer.verified) == ("", "I will not", True)


def test_an_attempt_that_was_superseded_counts_no_longer() -> None:
    """A1."""
    superseded = {"type": "response.attempt_superseded", "seq": 3, "response_id": "resp_1", "item_ids": ["msg_a"]}
    kind = "response.output_text.delta"
    answer = the(
        folded(
            created(1),
            part(kind, item="msg_a", delta="Wro"),
            superseded,
            part(kind, item="msg_b", delta="Right"),
            terminal(5, digest=digest("Right")),
        )
    )
    assert (answer.text, answer.verified) == ("Right", True)


def test_text_that_was_retracted_is_gone_and_proves_nothing() -> None:
    retracted = {"type": "item.retracted", "seq": 4, "item_id": "msg_resp_1"}
    answer = the(folded(created(1), delta(2, "secret"), terminal(3, digest=digest("secret")), retracted))
    assert (answer.text, answer.verified) == ("", None)


def test_an_answer_joined_in_the_middle_is_not_judged() -> None:
    answer = the(folded(delta(2, "lo"), terminal(3, digest=digest("Hello"))))
    assert (answer.status, answer.verified) == ("completed", None)


@given(st.lists(st.tuples(st.text(max_size=5), st.booleans()), max_size=20))
def test_a_reader_is_given_each_piece_once(pieces: list[tuple[str, bool]]) -> None:
    """A2."""
    answers, seen, given_out = folded(created(1)), dict[tuple[str, int], int](), ""
    for seq, (piece, read) in enumerate(pieces, 2):
        answers.apply(as_event(delta(seq, piece)))
        if read:
            given_out += the(answers).unread(seen)
    assert given_out + the(answers).unread(seen) == "".join(piece for piece, _ in pieces)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (terminal(2, "completed"), None),
        ({**terminal(2, "failed"), "response": {"error": {"code": "upstream_timeout"}}}, "upstream_timeout"),
        ({**terminal(2, "incomplete"), "response": {"incomplete_details": {"reason": "time_limit"}}}, "time_limit"),
        (terminal(2, "cancelled", receipt={"by": {"id": "ada"}, "reason": "user"}), "user"),
    ],
)
def test_an_ending_has_its_reason_in_one_word(event: JsonObject, reason: str | None) -> None:
    assert the(folded(created(1), event)).reason == reason


def test_a_snapshot_gives_what_runs_with_its_text_so_far() -> None:
    answers = Answers()
    running = {"id": "resp_1", "status": "in_progress", "output": [message("msg_resp_1", "Hel")]}
    answers.reset(snapshot(responses=[running]))
    answers.apply(as_event(delta(9, "lo")))
    answers.apply(as_event(terminal(10, digest=digest("Hello"))))
    assert (the(answers).text, the(answers).verified) == ("Hello", True)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        ({"status": "completed"}, "response.completed"),
        ({"status": "cancelled"}, "response.cancelled"),
        ({"status": "failed", "error": {"code": "internal"}}, "response.failed"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "response.incomplete"),
        ({"status": "incomplete", "incomplete_details": {"reason": "interrupted"}}, "response.interrupted"),
    ],
)
def test_a_snapshot_gives_what_ended_with_its_ending(response: JsonObject, kind: str) -> None:
    answers = Answers()
    listed = {"id": "resp_1", **response, "digest": digest("Hi")}
    answers.reset(snapshot(responses=[listed], items=[message("msg_1", "Hi", response_id="resp_1")]))
    ending = the(answers).terminal
    assert ending is not None
    assert (ending.type, ending.seq, ending.data["digest"]) == (kind, None, digest("Hi"))
    assert the(answers).text == "Hi"


def test_a_reader_goes_on_where_it_was_when_a_snapshot_comes_between() -> None:
    """A2."""
    answers, seen = folded(created(1), delta(2, "Hel")), dict[tuple[str, int], int]()
    first = the(answers).unread(seen)
    running = {"id": "resp_1", "status": "in_progress", "output": [message("msg_resp_1", "Hello, wor")]}
    answers.reset(snapshot(responses=[running]))
    answers.apply(as_event(delta(9, "ld")))
    assert (first, the(answers).unread(seen)) == ("Hel", "lo, world")


def test_what_was_open_and_is_not_in_a_snapshot_is_unknown() -> None:
    answers = folded(created(1))
    answers.reset(snapshot())
    assert answers.find("resp_1") is None


def test_what_had_ended_stays_known_through_a_snapshot() -> None:
    answers = folded(created(1), delta(2, "Hi"), terminal(3, digest=digest("Hi")))
    answers.reset(snapshot(responses=[{"id": "resp_1", "status": "completed"}]))
    ending = the(answers).terminal
    assert ending is not None
    assert (ending.seq, the(answers).text) == (3, "Hi")


def test_a_snapshot_that_tells_another_ending_is_believed() -> None:
    """The ending that we saw was lost with the machine that held it."""
    answers = folded(created(1), terminal(3))
    interrupted = {"id": "resp_1", "status": "incomplete", "incomplete_details": {"reason": "interrupted"}}
    answers.reset(snapshot(responses=[interrupted]))
    assert the(answers).status == "interrupted"


def test_only_the_newest_endings_are_kept() -> None:
    """A3."""
    answers = Answers(keep_ended=2)
    for seq, response in enumerate(["a", "b", "c", "d"]):
        answers.apply(as_event(created(2 * seq + 1, response=response)))
        if response != "b":
            answers.apply(as_event(terminal(2 * seq + 2, response=response)))
    assert [name for name in "abcd" if answers.find(name) is not None] == ["b", "c", "d"]
    assert [answer.id for answer in answers.open] == ["b"]


def test_a_late_word_on_an_answer_long_gone_brings_it_not_back() -> None:
    answers = folded({"type": "response.steer.failed", "seq": 9, "response_id": "resp_1"})
    assert answers.open == []
