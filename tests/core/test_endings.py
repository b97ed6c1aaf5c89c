"""Tests of roomcast/core/endings.py."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from roomcast.core.endings import abandoned, absorbed, cut_short, terminal, withdrawn
from roomcast.core.errors import UpstreamError
from roomcast.core.events import TERMINAL_TYPES, JsonObject
from roomcast.core.intents import CutShort, Ended, Ending, HungUp
from roomcast.core.output import content_digest
from roomcast.core.ports import Finish
from roomcast.core.response_state import Status
from roomcast.core.room_state import Response
from tests.support.pure_room import ANN, BOB, PureRoom

USAGE: JsonObject = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "source": "reported"}


def running(*, cancelled_at: int | None = None) -> Response:
    """A response that was queued for 500 ms, runs since 1500, and has said something."""
    room = PureRoom()
    first = room.say("first")["response_id"]
    response_id = room.say("second")["response_id"]
    room.now_ms = 1_500
    room.end(first)
    room.answer(response_id, "Hel", "lo")
    if cancelled_at is not None:
        room.now_ms = cancelled_at
        room.cancel(response_id, by=BOB, reason="enough")
    return room.response(response_id)


def ended(ending: Ending, *, cancelled_at: int | None = None) -> JsonObject:
    measured = Ended("resp_2", ending, usage=USAGE, first_output_ms=120, total_ms=900)
    event = terminal(running(cancelled_at=cancelled_at), measured, 2_400)
    assert event is not None
    return event


# ---- each row of the protocol's table --------------------------------------------------------


def test_it_is_completed_when_the_upstream_says_so() -> None:
    event = ended(Finish("completed"))
    response = event["response"]
    assert (event["type"], response["status"], response["completed_at"]) == ("response.completed", "completed", 2)
    assert (response["error"], response["incomplete_details"], response["usage"]) == (None, None, USAGE)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (Finish("incomplete", reason="max_output_tokens"), "max_output_tokens"),
        (Finish("incomplete", reason="content_filter"), "content_filter"),
        (Finish("incomplete"), "max_output_tokens"),
        (CutShort("upstream_eof"), "upstream_eof"),
        (CutShort("time_limit"), "time_limit"),
        (CutShort("output_limit"), "output_limit"),
    ],
)
def test_it_is_incomplete_for_a_reason(ending: Ending, reason: str) -> None:
    event = ended(ending)
    assert (event["type"], event["response"]["status"]) == ("response.incomplete", "incomplete")
    assert event["response"]["incomplete_details"] == {"reason": reason}
    assert "completed_at" not in event["response"]


@pytest.mark.parametrize(
    "code",
    [
        "upstream_rate_limited",
        "upstream_unavailable",
        "upstream_rejected",
        "upstream_timeout",
        "upstream_disconnected",
        "upstream_bad_response",
        "context_too_large",
        "storage_unavailable",
        "internal",
    ],
)
def test_it_failed_with_a_code(code: str) -> None:
    event = ended(UpstreamError(code, "in our words", retryable=True, status=500))
    assert (event["type"], event["response"]["status"]) == ("response.failed", "failed")
    assert event["response"]["error"] == {"code": code, "message": "in our words"}


def test_it_failed_when_the_upstream_says_so() -> None:
    event = ended(Finish("failed", error_code="upstream_rejected", error_message="no"))
    assert event["response"]["error"] == {"code": "upstream_rejected", "message": "no"}
    assert ended(Finish("failed"))["response"]["error"]["code"] == "upstream_unavailable"
    assert ended(Finish("never heard of"))["type"] == "response.failed"


@pytest.mark.parametrize(
    "ending", [Finish("completed"), Finish("incomplete"), CutShort("upstream_eof"), UpstreamError("internal", "x")]
)
def test_what_was_cancelled_ends_cancelled_whatever_the_upstream_did_meanwhile(ending: Ending) -> None:
    event = ended(ending, cancelled_at=2_000)
    assert (event["type"], event["response"]["status"]) == ("response.cancelled", "cancelled")
    assert (event["response"]["error"], event["response"]["incomplete_details"]) == (None, None)
    assert (event["by"], event["reason"]) == (BOB.by(), "enough")
    assert event["receipt"] == {"by": BOB.by(), "reason": "enough", "output_tokens": 2, "upstream_closed_ms": 400}


def test_the_receipt_says_how_long_hanging_up_took() -> None:
    assert ended(HungUp(after_ms=35), cancelled_at=2_000)["receipt"]["upstream_closed_ms"] == 35


def test_only_who_was_told_to_hang_up_can_have_hung_up() -> None:
    assert terminal(running(), Ended("resp_2", HungUp(5)), 2_400) is None


def test_there_is_no_second_terminal() -> None:
    room = PureRoom()
    response_id = room.answered("hi", "Hello")
    assert terminal(room.response(response_id), Ended(response_id, Finish("completed")), 2_400) is None


def test_it_is_interrupted_when_whoever_ran_it_is_gone() -> None:
    event = abandoned(running(), "restart", USAGE, 2_400)
    assert (event["type"], event["response"]["status"]) == ("response.interrupted", "incomplete")
    assert event["response"]["incomplete_details"] == {"reason": "interrupted"}
    assert (event["cause"], event["retryable"], event["by"]["id"]) == ("restart", True, "system")
    assert event["timings"] == {"queued_ms": 500, "first_output_ms": 0, "total_ms": 900}


def test_a_cancel_that_was_promised_holds_also_when_whoever_ran_it_is_gone() -> None:
    event = abandoned(running(cancelled_at=2_000), "restart", USAGE, 2_400)
    assert (event["type"], "cause" in event) == ("response.cancelled", False)
    assert event["receipt"] == {"by": BOB.by(), "reason": "enough", "output_tokens": 2, "upstream_closed_ms": 400}


def test_nobody_can_be_gone_who_never_began() -> None:
    room = PureRoom()
    room.say("runs")
    waiting = room.response(room.say("waits")["response_id"])
    with pytest.raises(AssertionError, match="resp_2 is queued and runs nowhere"):
        abandoned(waiting, "restart", USAGE, 2_000)


def test_a_prompt_that_leaves_the_queue_is_withdrawn() -> None:
    room = PureRoom()
    room.say("runs")
    waiting = room.response(room.say("waits")["response_id"])
    event = withdrawn(waiting, ANN, "changed my mind", 1_700)
    assert (event["type"], event["reason"], event["by"]) == ("response.cancelled", "withdrawn", ANN.by())
    assert event["receipt"] == {
        "by": ANN.by(),
        "reason": "changed my mind",
        "output_tokens": 0,
        "upstream_closed_ms": 0,
    }
    assert event["timings"] == {"queued_ms": 700, "first_output_ms": None, "total_ms": 0}
    assert event["digest"] == content_digest([])
    assert event["response"]["usage"]["total_tokens"] == 0


def test_a_prompt_that_leaves_the_queue_for_a_newer_one_says_for_which() -> None:
    room = PureRoom()
    room.say("runs")
    waiting = room.response(room.say("waits")["response_id"])
    event = absorbed(waiting, "resp_9", "superseded", BOB, 1_700)
    assert (event["type"], event["reason"], event["into"]) == ("response.cancelled", "superseded", "resp_9")
    assert (event["by"], event["receipt"]["output_tokens"]) == (BOB.by(), 0)


def test_the_rules_cut_short_what_passes_a_bound() -> None:
    event = cut_short(running(), "output_limit", USAGE, 2_400)
    assert (event["type"], event["response"]["incomplete_details"]) == (
        "response.incomplete",
        {"reason": "output_limit"},
    )
    assert event["timings"] == {"queued_ms": 500, "first_output_ms": 0, "total_ms": 900}


# ---- what every terminal carries -------------------------------------------------------------


def every_terminal() -> list[JsonObject]:
    return [
        ended(Finish("completed")),
        ended(CutShort("upstream_eof")),
        ended(UpstreamError("internal", "x")),
        ended(HungUp(5), cancelled_at=2_000),
        abandoned(running(), "drain", USAGE, 2_400),
        abandoned(running(cancelled_at=2_000), "drain", USAGE, 2_400),
        cut_short(running(), "output_limit", USAGE, 2_400),
    ]


@pytest.mark.parametrize("event", every_terminal(), ids=lambda event: event["type"])
def test_the_text_before_it_is_kept_and_summed_up(event: JsonObject) -> None:
    assert event["type"] in TERMINAL_TYPES
    [item] = event["response"]["output"]
    assert (item["id"], item["parent_id"], item["content"][0]["text"]) == ("out_resp_2", "msg_2", "Hello")
    assert item["status"] == ("completed" if event["type"] == "response.completed" else "incomplete")
    assert event["digest"] == "sha256:" + sha256(b"Hello").hexdigest()
    assert (event["response_id"], event["response"]["id"], event["response"]["item_id"]) == (
        "resp_2",
        "resp_2",
        "msg_2",
    )
    assert set(event["timings"]) == {"queued_ms", "first_output_ms", "total_ms"}
    assert event["timings"]["queued_ms"] == 500
    assert event["response"]["usage"] == USAGE


def test_measured_times_come_before_the_wall_clock() -> None:
    assert ended(Finish("completed"))["timings"] == {"queued_ms": 500, "first_output_ms": 120, "total_ms": 900}


def test_c9_a_clock_that_went_back_makes_no_negative_times() -> None:
    response = running(cancelled_at=2_000)
    event = abandoned(response, "restart", USAGE, 10)
    assert event["timings"]["total_ms"] == 0
    assert event["receipt"]["upstream_closed_ms"] == 0


def test_no_usage_is_none() -> None:
    event = terminal(running(), Ended("resp_2", Finish("completed")), 2_400)
    assert event is not None
    assert event["response"]["usage"] is None


def test_the_upstreams_own_object_adds_to_ours_and_changes_only_the_model() -> None:
    theirs: dict[str, Any] = {"model": "gpt-test-2026", "service_tier": "default", "id": "x", "output": [], "by": "x"}
    response = ended(Finish("completed", response=theirs))["response"]
    assert (response["model"], response["service_tier"]) == ("gpt-test-2026", "default")
    assert (response["id"], response["by"], len(response["output"])) == ("resp_2", ANN.by(), 1)


def test_an_upstreams_own_object_that_is_too_large_for_a_frame_is_left_out() -> None:
    theirs = {"service_tier": "flex", "echo": "x" * 65_536}
    shown = ended(Finish("completed", response=theirs))["response"]
    assert shown.keys() == ended(Finish("completed"))["response"].keys()


def test_a_status_that_ended_is_one_of_the_table() -> None:
    assert {Status(event["type"].removeprefix("response.")) for event in every_terminal()} == {
        "completed",
        "incomplete",
        "failed",
        "cancelled",
        "interrupted",
    }
