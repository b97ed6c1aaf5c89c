"""Tests of roomcast/cli/scroll.py."""

from __future__ import annotations

import pytest

from roomcast.cli.scroll import Scroll, name_of
from roomcast.cli.terminal import Writer
from roomcast.core.events import JsonObject
from tests.client.scripted import as_event, created, delta, said, snapshot, terminal


def scrolled(*events: JsonObject, shot: JsonObject | None = None, own: str | None = None) -> str:
    shown = list[str]()
    scroll = Scroll(Writer(shown.append), shot, own=own)
    for event in events:
        scroll.apply(as_event(event))
    return "".join(shown)


def test_a_conversation_reads_from_top_to_bottom() -> None:
    text = scrolled(
        said(1, "hello"), created(2), delta(3, "Hel"), delta(4, "lo"), terminal(5), said(6, "bye", name="Bob")
    )
    assert text == "Ada: hello\nassistant: Hello\nBob: bye\n"


def test_it_begins_with_what_there_was_and_goes_on_in_the_middle_of_an_answer() -> None:
    part = {
        "id": "msg_resp_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hel"}],
    }
    shot = snapshot(
        items=[said(1, "hello")["item"]], responses=[{"id": "resp_1", "status": "in_progress", "output": [part]}]
    )
    assert scrolled(delta(9, "lo"), terminal(10), shot=shot) == "Ada: hello\nassistant: Hello\n"


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (terminal(4, "failed") | {"response": {"error": {"code": "upstream_timeout"}}}, "[failed: upstream_timeout]"),
        (
            terminal(4, "incomplete") | {"response": {"incomplete_details": {"reason": "time_limit"}}},
            "[incomplete: time_limit]",
        ),
        (
            terminal(4, "cancelled", receipt={"by": {"name": "Bob"}, "reason": "too long"}),
            "[cancelled by Bob: too long]",
        ),
        (terminal(4, "interrupted"), "[interrupted]"),
        (terminal(4, digest="sha256:0"), "[this is not the whole text: its digest does not agree]"),
    ],
)
def test_an_answer_that_did_not_complete_says_why(end: JsonObject, note: str) -> None:
    assert scrolled(created(1), delta(2, "Hel"), end) == f"assistant: Hel\n{note}\n"


def test_an_answer_without_text_says_only_how_it_ended() -> None:
    assert scrolled(created(1), terminal(2, "failed")) == "[failed]\n"


def test_a_refusal_of_the_model_is_shown() -> None:
    at = {"seq": 2, "response_id": "resp_1", "item_id": "msg_1", "output_index": 0, "content_index": 0}
    refusal = {"type": "response.refusal.done", "refusal": "I will not", **at}
    assert scrolled(created(1), refusal, terminal(3)) == "assistant: I will not\n"


def test_a_queued_answer_is_told_with_who_waits_for_it() -> None:
    queued = created(1, status="queued") | {"by": {"id": "bob", "name": "Bob"}}
    assert scrolled(queued) == "[queued for Bob]\n"


def test_a_model_that_starts_over_is_told() -> None:
    over = {"type": "response.attempt_superseded", "seq": 3, "response_id": "resp_1", "item_ids": ["msg_resp_1"]}
    again = delta(4, "Right") | {"item_id": "msg_2"}
    text = scrolled(created(1), delta(2, "Wro"), over, again, terminal(5))
    assert text == "assistant: Wro\n[the model starts over]\nassistant: Right\n"


def test_a_message_that_was_taken_back_is_told() -> None:
    text = scrolled(said(1, "oops", item="msg_a"), {"type": "item.retracted", "seq": 2, "item_id": "msg_a"})
    assert text == "Ada: oops\n[a message of Ada was taken back]\n"


def test_a_new_beginning_is_told_and_shown_whole() -> None:
    shot = snapshot(items=[said(9, "new")["item"]])
    text = scrolled(said(1, "old"), {"type": "room.reset", "seq": 9, "reason": "expired", "snapshot": shot})
    assert text == "Ada: old\n[the room begins anew: expired]\nAda: new\n"


def test_what_one_typed_is_not_written_again() -> None:
    assert scrolled(said(1, "mine"), said(2, "yours", name="Bob"), own="ada") == "Bob: yours\n"


def test_troubles_of_the_server_are_told() -> None:
    text = scrolled(
        {"type": "room.degraded", "reason": "storage_full"}, {"type": "server.draining"}, {"type": "room.restored"}
    )
    assert text == "[room is degraded]\n[server is draining]\n[room is restored]\n"


def test_x6_nothing_that_a_terminal_obeys_comes_through_from_any_field() -> None:
    evil = "\x1b[2J\x07"
    text = scrolled(
        said(1, evil, name=f"A{evil}"),
        created(2) | {"by": {"name": evil}},
        delta(3, evil),
        terminal(4, "cancelled", receipt={"by": {"name": evil}, "reason": evil}),
        {"type": "room.reset", "seq": 9, "reason": evil, "snapshot": snapshot()},
    )
    assert "\x1b" not in text
    assert "\x07" not in text


def test_somebody_without_a_name_is_somebody() -> None:
    assert [name_of(who) for who in (None, {}, {"id": "ada"}, {"name": "Ada", "id": "a"})] == [
        "somebody",
        "somebody",
        "ada",
        "Ada",
    ]
