"""Tests of roomcast/client/transcript.py."""

from __future__ import annotations

from roomcast.client.answers import Answer
from roomcast.client.transcript import Message, Transcript, content_text
from roomcast.core.events import JsonObject
from tests.client.scripted import as_event, created, delta, said, snapshot, terminal


def lines(transcript: Transcript) -> list[str]:
    return [
        f"{entry.name}: {entry.text}" if isinstance(entry, Message) else f"({entry.status}) {entry.text}"
        for entry in transcript.entries
    ]


def a_transcript(*events: JsonObject, keep: int = 500) -> Transcript:
    transcript = Transcript(keep=keep)
    for event in events:
        transcript.apply(as_event(event))
    return transcript


def assistant(item_id: str, text: str, response_id: str) -> JsonObject:
    content = [{"type": "output_text", "text": text}]
    return {"id": item_id, "type": "message", "role": "assistant", "content": content, "response_id": response_id}


def test_messages_and_answers_stand_in_the_order_they_began() -> None:
    transcript = a_transcript(said(1, "hello"), created(2), said(3, "me too", name="Bob"), delta(4, "Hi"), terminal(5))
    assert lines(transcript) == ["Ada: hello", "(completed) Hi", "Bob: me too"]


def test_apply_returns_the_entry_that_changed() -> None:
    transcript = a_transcript(created(1))
    changed = transcript.apply(as_event(delta(2, "Hi")))
    assert isinstance(changed, Answer)
    assert changed is transcript.entries[0]
    assert transcript.apply(as_event({"type": "presence.updated", "count": 1})) is None


def test_what_runs_can_be_listed() -> None:
    transcript = a_transcript(created(1), created(2, response="resp_2", status="queued"), terminal(3))
    assert [answer.id for answer in transcript.running] == ["resp_2"]


def test_a_message_that_was_taken_back_keeps_its_place_without_its_text() -> None:
    transcript = a_transcript(said(1, "oops", item="msg_a"), {"type": "item.retracted", "seq": 2, "item_id": "msg_a"})
    entry = transcript.entries[0]
    assert isinstance(entry, Message)
    assert (entry.text, entry.status) == ("", "retracted")


def test_a_snapshot_is_the_same_conversation() -> None:
    items = [said(1, "hello")["item"], assistant("msg_x", "Hi", "resp_1"), said(3, "more")["item"]]
    responses = [
        {"id": "resp_1", "status": "completed"},
        {"id": "resp_2", "status": "in_progress", "output": [assistant("msg_y", "Mo", "resp_2")]},
    ]
    transcript = Transcript(snapshot(items=items, responses=responses))
    transcript.apply(as_event({**delta(4, "re", response="resp_2"), "item_id": "msg_y"}))
    assert lines(transcript) == ["Ada: hello", "(completed) Hi", "Ada: more", "(in_progress) More"]


def test_an_answer_stands_below_its_prompt_also_when_it_has_no_text() -> None:
    items = [said(1, "one", item="msg_a")["item"], said(2, "two", item="msg_b")["item"]]
    responses: list[JsonObject] = [
        {"id": "resp_b", "status": "in_progress", "item_id": "msg_b", "output": []},
        {"id": "resp_a", "status": "failed", "item_id": "msg_a"},
    ]
    transcript = Transcript(snapshot(items=items, responses=responses))
    assert lines(transcript) == ["Ada: one", "(failed) ", "Ada: two", "(in_progress) "]


def test_an_old_answer_without_its_response_is_a_message_of_the_assistant() -> None:
    transcript = Transcript(snapshot(items=[assistant("msg_x", "Hi", "resp_0")]))
    assert lines(transcript) == ["assistant: Hi"]


def test_a_reset_replaces_everything() -> None:
    transcript = a_transcript(said(1, "old"))
    reset = {"type": "room.reset", "seq": 9, "snapshot": snapshot(items=[said(9, "new")["item"]])}
    transcript.apply(as_event(reset))
    assert lines(transcript) == ["Ada: new"]


def test_only_the_newest_entries_are_kept() -> None:
    transcript = a_transcript(*(said(seq, str(seq)) for seq in range(1, 6)), keep=2)
    assert lines(transcript) == ["Ada: 4", "Ada: 5"]


def test_content_of_other_kinds_shows_as_its_kind() -> None:
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:"}]
    assert content_text({"content": content}) == "look\n[input_image]"
    assert content_text({"content": "plain"}) == "plain"
    assert content_text({"content": None}) == ""
