"""Tests of web/state.js and web/answer-state.js, on logs and snapshots that the real rules made."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.rooms import ADA, BO, LivedRoom, busy_room

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

LOOK = """
async ({ snapshot, events, history }) => {
  const { apply, fromSnapshot, newRoom, prepend, promptFor } = await import("/state.js");
  const { answerText, speed } = await import("/answer-state.js");
  let room = newRoom("lobby");
  if (snapshot) room = fromSnapshot(room, snapshot);
  const changed = events.map((event) => [...apply(room, event)].sort());
  if (history) prepend(room, history, false);
  const rows = room.timeline.map((key) => {
    if (key[0] === "m") return [key, room.messages.get(key.slice(2)).text];
    const answer = room.answers.get(key.slice(2));
    return [key, answer.status, answerText(answer), answer.by?.name ?? null, promptFor(room, answer)?.text ?? null];
  });
  const measured = [...room.answers].map(([id, answer]) => [id, { ...answer, speed: speed(answer) }]);
  const answers = Object.fromEntries(measured);
  return { rows, changed, answers, queue: room.queue, hasMore: room.hasMore, simulated: room.simulated };
}
"""


async def look(page: Page, *, snapshot: Any = None, events: list[Any] | None = None, history: Any = None) -> Any:
    return await page.evaluate(LOOK, {"snapshot": snapshot, "events": events or [], "history": history})


async def test_questions_and_their_answers_stand_together_in_the_order_of_the_questions(page: Page) -> None:
    seen = await look(page, events=busy_room().log)
    assert seen["rows"] == [
        ["m:item_1", "one"],
        ["r:resp_1", "completed", "first answer", "Ada", "one"],
        ["m:item_2", "two"],
        ["r:resp_2", "incomplete", "half", "Bo", "two"],
        ["m:item_3", "three"],
        ["r:resp_3", "cancelled", "so far", "Ada", "three"],
        ["m:item_4", "four"],
        ["r:resp_4", "in_progress", "on its way", "Bo", "four"],
        ["m:item_5", "five"],
        ["r:resp_5", "cancelled", "", "Ada", "five"],
        ["m:item_8", "a note"],
        ["m:item_9", "six"],
        ["r:resp_9", "queued", "", "Ada", "six"],
    ]


async def test_who_comes_late_sees_what_those_see_who_were_there(page: Page) -> None:
    room = busy_room()
    late, there = await look(page, snapshot=room.snapshot()), await look(page, events=room.log)
    assert (late["rows"], late["queue"], late["simulated"]) == (there["rows"], there["queue"], True)


async def test_a_snapshot_anywhere_and_the_events_behind_it_give_the_same_room(page: Page) -> None:
    """Of every length of the log: the splice that a reload in mid-stream makes."""
    whole = busy_room()
    there = await look(page, events=whole.log)
    room = LivedRoom()
    for event in whole.log:
        room.state.fold(event)
        rest = [later for later in whole.log if later["seq"] > event["seq"]]
        late = await look(page, snapshot=room.snapshot(), events=rest)
        assert late["rows"] == there["rows"], f"spliced behind seq {event['seq']}"


async def test_a_token_changes_one_answer_and_nothing_else(page: Page) -> None:
    room = LivedRoom()
    response = room.say(ADA, "one")
    room.begin(response)
    room.write(response, "word")
    seen = await look(page, events=room.log)
    assert seen["changed"][-1] == ["r:resp_1"]


async def test_unknown_events_change_nothing(page: Page) -> None:
    room = busy_room()
    unknown = [
        {
            "room": "lobby",
            "seq": 900,
            "at": 1,
            "type": "response.telepathy.delta",
            "response_id": "resp_4",
            "delta": "x",
        },
        {"room": "lobby", "seq": 901, "at": 1, "type": "item.juggled", "item_id": "item_1"},
    ]
    seen, before = await look(page, events=[*room.log, *unknown]), await look(page, events=room.log)
    assert (seen["rows"], seen["changed"][-1]) == (before["rows"], [])


async def test_the_receipt_of_a_stop_names_who_stopped(page: Page) -> None:
    room = busy_room()
    for seen in (await look(page, events=room.log), await look(page, snapshot=room.snapshot())):
        assert seen["answers"]["resp_3"]["receipt"]["by"]["name"] == "Bo"


async def test_speed_is_measured_at_the_end_and_guessed_on_the_way(page: Page) -> None:
    seen = await look(page, events=busy_room().log)
    assert seen["answers"]["resp_1"]["speed"] == {"rate": 50, "exact": True}
    assert seen["answers"]["resp_4"]["speed"]["exact"] is False


async def test_output_of_a_superseded_attempt_no_longer_counts(page: Page) -> None:
    room = LivedRoom()
    response = room.say(ADA, "one")
    room.begin(response)
    room.write(response, "wrong")
    retry = {
        "room": "lobby", "seq": 900, "at": 1, "type": "response.attempt_superseded",
        "response_id": response, "attempt": 2, "item_ids": [f"msg_of_{response}"],
    }  # fmt: skip
    seen = await look(page, events=[*room.log, retry])
    assert seen["rows"][1][:3] == ["r:resp_1", "in_progress", ""]


async def test_a_retracted_message_keeps_its_place_and_loses_its_text(page: Page) -> None:
    room = LivedRoom()
    room.say(ADA, "regretted", respond="never")
    gone = {"room": "lobby", "seq": 900, "at": 1, "type": "item.retracted", "item_id": "item_1", "reason": None}
    seen = await look(page, events=[*room.log, gone])
    assert (seen["rows"], seen["changed"][-1]) == ([["m:item_1", ""]], ["m:item_1"])


async def test_a_question_that_was_put_in_other_words_shows_once(page: Page) -> None:
    room = LivedRoom()
    room.begin(room.say(ADA, "one"))
    waiting = room.say(BO, "tow")
    room.reword(BO, waiting, "two")
    for seen in (await look(page, events=room.log), await look(page, snapshot=room.snapshot())):
        assert [row[1] for row in seen["rows"]] == ["one", "in_progress", "two", "queued"]
        assert seen["rows"][-1][-1] == "two"


async def test_history_is_put_before_what_is_known(page: Page) -> None:
    room = LivedRoom()
    for number in range(1, 31):
        room.answer(room.say(ADA if number % 2 else BO, f"q{number}"), f"a{number}")
    whole = room.snapshot()
    recent = {**whole, "items": whole["items"][40:], "responses": whole["responses"][20:], "has_more": True}
    seen = await look(page, snapshot=recent, history=list(reversed(whole["items"][:40])))
    assert seen["rows"][:2] == [["m:item_6", "q6"], ["r:resp_6", "completed", "a6", "Bo", "q6"]]
    assert [row[1] for row in seen["rows"] if row[0][0] == "m"] == [f"q{number}" for number in range(6, 31)]
    assert seen["hasMore"] is False


async def test_old_answers_name_nobody_where_it_is_not_certain_who_asked(page: Page) -> None:
    room = LivedRoom()
    first, second = room.say(ADA, "one"), room.say(BO, "two")
    room.answer(first, "to Ada")
    room.answer(second, "to Bo")
    seen = await look(page, events=[], history=list(reversed(room.snapshot()["items"])))
    named = {row[2]: row[3] for row in seen["rows"] if row[0][0] == "r"}
    assert set(named) == {"to Ada", "to Bo"}
    assert named["to Ada"] in {"Ada", None}
    assert named["to Bo"] in {"Bo", None}
