"""Tests of roomcast/generation/runner.py: deadlines, endings, usage."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from roomcast.core.errors import StorageUnavailable, UpstreamError
from roomcast.core.events import JsonObject
from roomcast.core.limits import Limits
from roomcast.core.ports import Finish, UpstreamRequest
from roomcast.core.settings import UpstreamSettings
from tests.support import virtual_time
from tests.support.rig import Step, a_rig, said

SETTINGS = UpstreamSettings(first_output_timeout_s=60, idle_timeout_s=30, total_timeout_s=600)


def ended(*script: Step, limits: Limits | None = None, tries: int = 1) -> JsonObject:
    """Play one generation that opens the upstream `tries` times; returns its terminal."""

    async def scenario() -> JsonObject:
        async with a_rig(script, settings=SETTINGS, limits=limits) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "hello there")
            terminal = await ann.until(lambda got: "digest" in got and got["response_id"] == asked["response_id"])
            assert rig.upstream.hung_up == len(rig.upstream.requests) == tries
            again = await ann.command("message.create", "lobby", content="still there?", respond="never")
            assert again["ok"]
            return terminal

    return virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("script", "kind", "detail"),
    [
        (["a", 29.0, "b", Finish("completed")], "response.completed", None),
        ([59.0, "a", Finish("completed")], "response.completed", None),
        ([61.0, "never"], "response.failed", "upstream_timeout"),
        (["a", 31.0, "never"], "response.failed", "upstream_timeout"),
        ([step for _ in range(100) for step in ("a", 10.0)], "response.incomplete", "time_limit"),
        (["a"], "response.incomplete", "upstream_eof"),
        ([], "response.failed", "upstream_bad_response"),
        (["a", Finish("incomplete", reason="max_output_tokens")], "response.incomplete", "max_output_tokens"),
        (["a", Finish("incomplete", reason="content_filter")], "response.incomplete", "content_filter"),
        (["a", Finish("failed", error_code="upstream_unavailable")], "response.failed", "upstream_unavailable"),
        ([UpstreamError("upstream_rate_limited", "slow down")], "response.failed", "upstream_rate_limited"),
        (["a", UpstreamError("upstream_disconnected", "cut")], "response.failed", "upstream_disconnected"),
        ([UpstreamError("context_too_large", "too much")], "response.failed", "context_too_large"),
    ],
)
def test_each_way_a_stream_can_end_has_its_terminal(script: list[Step], kind: str, detail: str | None) -> None:
    terminal = ended(*script)
    response: dict[str, Any] = terminal["response"]
    incomplete: JsonObject = response["incomplete_details"] or {}
    error: JsonObject = response["error"] or {}
    assert terminal["type"] == kind
    assert (incomplete.get("reason") or error.get("code")) == detail


def test_text_before_a_failure_is_kept() -> None:
    terminal = ended("half an ", "answer", UpstreamError("upstream_disconnected", "cut"))
    item = terminal["response"]["output"][0]
    assert item["content"][0]["text"] == "half an answer"
    assert item["status"] == "incomplete"


def test_output_is_cut_at_its_bound_and_the_upstream_is_left() -> None:
    terminal = ended(*["x" * 100] * 50, Finish("completed"), limits=Limits(running_bytes=1_000))
    assert terminal["type"] == "response.incomplete"
    assert terminal["response"]["incomplete_details"] == {"reason": "output_limit"}
    assert len(terminal["response"]["output"][0]["content"][0]["text"]) <= 1_000


def test_usage_is_as_reported_else_estimated_and_says_which() -> None:
    reported = ended("a b c", Finish("completed", usage={"input_tokens": 7, "output_tokens": 9, "total_tokens": 16}))
    assert reported["response"]["usage"] == {
        "input_tokens": 7,
        "output_tokens": 9,
        "total_tokens": 16,
        "source": "reported",
    }
    estimated = ended("a b c", UpstreamError("upstream_disconnected", "cut"))["response"]["usage"]
    assert estimated["source"] == "estimated"
    assert estimated["output_tokens"] == 3
    assert estimated["total_tokens"] == estimated["input_tokens"] + 3


def test_timings_are_measured_from_the_start_of_the_run() -> None:
    timings = ended(2.0, "a", 3.0, "b", Finish("completed"))["timings"]
    assert timings["queued_ms"] == 0
    assert timings["first_output_ms"] == 2_000
    assert timings["total_ms"] == 5_000


def test_a_store_that_does_not_come_back_ends_the_upstream_and_says_so_when_it_does() -> None:
    async def scenario() -> None:
        script: list[Step] = [step for _ in range(1_000) for step in ("x" * 500, 0.05)]
        limits = Limits(uncommitted_bytes=10_000, uncommitted_timeout_s=10)
        async with a_rig([*script, Finish("completed")], limits=limits) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await ann.until_type("response.output_text.delta")
            rig.store.fail_with = StorageUnavailable("gone")
            await anyio.sleep(20)
            assert rig.upstream.hung_up == 1
            rig.store.fail_with = None
            terminal = await ann.until_type("response.failed", asked["response_id"])
            assert terminal["response"]["error"]["code"] == "storage_unavailable"

    virtual_time.run(scenario())


def test_output_that_the_store_refuses_for_too_long_ends_the_upstream_however_little_it_is() -> None:
    async def scenario() -> None:
        script: list[Step] = [step for _ in range(1_000) for step in ("x", 0.5)]
        async with a_rig([*script, Finish("completed")], limits=Limits(uncommitted_timeout_s=10)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await ann.until_type("response.output_text.delta")
            rig.store.fail_with = StorageUnavailable("gone")
            await anyio.sleep(9)
            assert rig.upstream.hung_up == 0
            await anyio.sleep(3)
            assert rig.upstream.hung_up == 1
            rig.store.fail_with = None
            terminal = await ann.until_type("response.failed", asked["response_id"])
            assert terminal["response"]["error"]["code"] == "storage_unavailable"

    virtual_time.run(scenario())


def test_output_that_waits_in_an_outage_is_not_waited_with_while_the_model_thinks() -> None:
    """The bound is on the age of what is not committed, not on the next piece."""

    async def scenario() -> None:
        limits = Limits(uncommitted_timeout_s=10)
        async with a_rig(["a", 2.0, "b", 25.0, *said("c")], limits=limits) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await ann.until_text("lobby", "a")
            rig.store.fail_with = StorageUnavailable("gone")
            await anyio.sleep(11)
            assert rig.upstream.hung_up == 0
            await anyio.sleep(2)
            assert rig.upstream.hung_up == 1
            rig.store.fail_with = None
            terminal = await ann.until_type("response.failed", asked["response_id"])
            assert terminal["response"]["error"]["code"] == "storage_unavailable"
            assert ann.text("lobby") == "ab"

    virtual_time.run(scenario())


def test_a_store_that_refuses_now_and_then_ends_nothing() -> None:
    async def scenario() -> None:
        script: list[Step] = [step for _ in range(100) for step in ("x", 0.5)]
        async with a_rig([*script, Finish("completed")], limits=Limits(uncommitted_timeout_s=5)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            for _ in range(6):
                rig.store.fail_with = StorageUnavailable("gone")
                await anyio.sleep(3)
                rig.store.fail_with = None
                await anyio.sleep(4)
            await ann.until_type("response.completed", asked["response_id"])
            assert ann.text("lobby") == "x" * 100

    virtual_time.run(scenario())


GONE = UpstreamError("upstream_unavailable", "gone", retryable=True)
LIMITED = UpstreamError("upstream_rate_limited", "slow down", retryable=True, retry_after_ms=20_000)


def played(*scripts: list[Step]) -> tuple[JsonObject, list[UpstreamRequest]]:
    """Play one generation whose tries meet one script each; returns its terminal and what was asked."""

    async def scenario() -> tuple[JsonObject, list[UpstreamRequest]]:
        async with a_rig(*scripts, settings=SETTINGS) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "hello there")
            terminal = await ann.until(lambda got: "digest" in got and got["response_id"] == asked["response_id"])
            assert [got["type"] for got in ann.events("lobby") if "digest" in got] == [terminal["type"]]
            return terminal, rig.upstream.requests

    return virtual_time.run(scenario())


def test_a_failure_before_output_is_tried_again_and_the_room_sees_one_answer() -> None:
    terminal, requests = played([GONE], [GONE], ["fine", Finish("completed")])
    assert terminal["type"] == "response.completed"
    assert len(requests) == 3
    assert len({request.response_id for request in requests}) == 1


def test_trying_ends_with_the_last_failure() -> None:
    terminal, requests = played([GONE], [GONE], [LIMITED], ["never"])
    assert terminal["response"]["error"]["code"] == "upstream_rate_limited"
    assert len(requests) == 3


def test_what_the_upstream_asks_us_to_wait_is_waited() -> None:
    terminal, _ = played([LIMITED], ["fine", Finish("completed")])
    assert 20_000 <= terminal["timings"]["first_output_ms"] < 21_000


def test_all_tries_share_the_deadline_of_the_first_output() -> None:
    late = UpstreamError("upstream_rate_limited", "slow down", retryable=True, retry_after_ms=61_000)
    terminal, requests = played([late], ["never"])
    assert (terminal["response"]["error"]["code"], len(requests)) == ("upstream_rate_limited", 1)
    terminal, requests = played([50.0, GONE], [20.0, "too late"])
    assert (terminal["response"]["error"]["code"], len(requests)) == ("upstream_timeout", 2)
    assert 60_000 <= terminal["timings"]["total_ms"] < 61_000


def test_a_failure_after_output_is_not_tried_again() -> None:
    terminal, requests = played(["some", GONE], ["never"])
    assert (terminal["type"], len(requests)) == ("response.failed", 1)


def test_a_cancel_between_two_tries_is_honoured() -> None:
    async def scenario() -> None:
        async with a_rig([LIMITED], ["never"], settings=SETTINGS) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "hello")
            await anyio.sleep(5)
            assert (await ann.command("response.cancel", "lobby"))["ok"]
            done = await ann.until_type("response.cancelled", asked["response_id"])
            assert done["receipt"]["output_tokens"] == 0
            await anyio.sleep(60)
            assert len(rig.upstream.requests) == 1

    virtual_time.run(scenario())
