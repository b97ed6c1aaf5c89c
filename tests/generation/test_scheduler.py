"""Tests of roomcast/generation/scheduler.py: starting, stopping, draining."""

from __future__ import annotations

import anyio
import pytest

from roomcast.core.errors import UpstreamError
from roomcast.core.limits import Limits
from roomcast.core.ports import Finish
from roomcast.core.profile import Profile
from roomcast.core.rules import Rulebook
from roomcast.core.session import Role
from tests.support import virtual_time
from tests.support.rig import ScriptedUpstream, a_rig, said


def test_a_prompt_is_answered_and_the_text_is_the_same_for_all() -> None:
    async def scenario() -> None:
        async with a_rig(said("Hel", "lo ", "you")) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            asked = await ann.ask("lobby", "greet me")
            assert asked["status"] == "in_progress"
            for viewer in (ann, bob):
                done = await viewer.until_type("response.completed", asked["response_id"])
                assert viewer.text("lobby") == "Hello you"
                assert done["response"]["status"] == "completed"
            assert ann.events("lobby") == bob.events("lobby")[-len(ann.events("lobby")) :]

    virtual_time.run(scenario())


def test_in_progress_is_committed_before_the_upstream_is_opened() -> None:
    async def scenario() -> None:
        async with a_rig(said("x")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            rig.store.gate = anyio.Event()
            ann.send("message.create", "lobby", content="hello")
            await anyio.sleep(5)
            assert rig.upstream.requests == []
            rig.store.gate.set()
            await ann.until_type("response.completed")
            assert len(rig.upstream.requests) == 1

    virtual_time.run(scenario())


def test_the_model_gets_the_conversation_and_the_prompt_last() -> None:
    async def scenario() -> None:
        async with a_rig(said("one"), said("two")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            first = await ann.ask("lobby", "first")
            await ann.until_type("response.completed", first["response_id"])
            second = await ann.ask("lobby", "second")
            await ann.until_type("response.completed", second["response_id"])
            told = [(item["role"], item["content"][0]["text"]) for item in rig.upstream.requests[1].input]
            assert told == [("user", "first"), ("assistant", "one"), ("user", "second")]

    virtual_time.run(scenario())


def test_cancel_hangs_up_and_then_everybody_hears_one_ending_with_its_receipt() -> None:
    async def scenario() -> None:
        async with a_rig(said("before ", 100.0, "after")) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await bob.until_type("response.output_text.delta")
            reply = await bob.command("response.cancel", "lobby", reason="enough")
            assert reply["result"] == {"response_id": asked["response_id"], "status": "cancelling"}
            done = await ann.until_type("response.cancelled", asked["response_id"])
            assert rig.upstream.hung_up == 1
            assert done["receipt"]["by"] == {"id": "bob", "name": "Bob"}
            assert done["receipt"]["reason"] == "enough"
            assert done["receipt"]["output_tokens"] == 1
            assert done["receipt"]["upstream_closed_ms"] >= 0
            assert done["response"]["output"][0]["content"][0]["text"] == "before "
            kinds = [got["type"] for got in ann.events("lobby")]
            assert kinds.index("response.cancelling") == len(kinds) - 2
            assert ann.text("lobby") == "before "

    virtual_time.run(scenario())


def test_a_cancel_before_the_upstream_answered_is_honoured() -> None:
    async def scenario() -> None:
        upstream = ScriptedUpstream(said("never"))
        upstream.before_open = anyio.Event()
        async with a_rig(upstream=upstream) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await ann.command("response.cancel", "lobby")
            done = await ann.until_type("response.cancelled", asked["response_id"])
            assert done["response"]["output"] == []
            assert ann.text("lobby") == ""

    virtual_time.run(scenario())


def test_a_cancel_in_the_commit_that_starts_a_response_ends_it_and_nothing_is_opened() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 5.0, "b")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            rig.store.gate = anyio.Event()
            ann.send("message.create", "elsewhere", content="hold the store", respond="never")
            await anyio.sleep(1)
            asked = ann.send("message.create", "lobby", content="talk")
            stop = ann.send("response.cancel", "lobby")
            await anyio.sleep(1)
            rig.store.gate.set()
            assert (await ann.reply_to(stop))["result"]["status"] == "cancelling"
            response_id = (await ann.reply_to(asked))["result"]["response_id"]
            done = await ann.until_type("response.cancelled", response_id)
            assert done["receipt"]["upstream_closed_ms"] == 0
            assert rig.upstream.requests == []
            again = await ann.ask("lobby", "still there?")
            assert again["status"] == "in_progress"

    virtual_time.run(scenario())


@pytest.mark.parametrize("tokens", range(6))
def test_a_cancel_at_any_token_ends_once_with_exactly_the_text_before_it(tokens: int) -> None:
    async def scenario() -> None:
        pauses = [anyio.Event() for _ in range(6)]
        script = [step for pause, letter in zip(pauses, "abcdef", strict=True) for step in (pause, letter)]
        async with a_rig([*script, Finish("completed")]) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "spell")
            for index in range(tokens):
                pauses[index].set()
                await ann.until_text("lobby", "abcdef"[: index + 1])
            await ann.command("response.cancel", "lobby")
            await ann.until_type("response.cancelled", asked["response_id"])
            for pause in pauses:
                pause.set()
            await anyio.sleep(1)
            assert ann.text("lobby") == "abcdef"[:tokens]
            endings = [got for got in ann.events("lobby") if "digest" in got]
            assert len(endings) == 1

    virtual_time.run(scenario())


def test_the_next_in_the_queue_starts_when_the_running_one_ends_however_it_ends() -> None:
    async def scenario() -> None:
        failed = UpstreamError("upstream_unavailable", "gone")
        async with a_rig(["a", 1.0, failed], said("b", 1.0), said("c")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            first = await ann.ask("lobby", "one")
            second = await ann.ask("lobby", "two")
            third = await ann.ask("lobby", "three")
            assert [second["status"], second["position"], second["on_busy"]] == ["queued", 1, "enqueue"]
            assert third["position"] == 2
            ending = await ann.until_type("response.failed", first["response_id"])
            assert ending["response"]["error"]["code"] == "upstream_unavailable"
            await ann.until_type("response.completed", second["response_id"])
            await ann.until_type("response.completed", third["response_id"])
            queues = [len(got["queue"]) for got in ann.events("lobby") if got["type"] == "queue.updated"]
            assert queues == [1, 2, 1, 0]

    virtual_time.run(scenario())


def test_a_queued_prompt_can_be_withdrawn_and_never_reaches_the_model() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 5.0, "b")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "one")
            queued = await ann.ask("lobby", "two")
            reply = await ann.command("response.cancel", "lobby", response_id=queued["response_id"])
            assert reply["result"]["status"] == "cancelled"
            done = await ann.until_type("response.cancelled", queued["response_id"])
            assert done["reason"] == "withdrawn"
            late = await rig.viewer("late").join("lobby")
            [shown] = [shown for shown in late["snapshot"]["responses"] if shown["id"] == queued["response_id"]]
            assert (shown["status"], shown["reason"]) == ("cancelled", "withdrawn")
            await ann.until_type("response.completed")
            await anyio.sleep(1)
            assert len(rig.upstream.requests) == 1

    virtual_time.run(scenario())


def test_an_interrupt_keeps_the_text_hangs_up_and_goes_on_with_the_new_prompt() -> None:
    async def scenario() -> None:
        async with a_rig(["so far", 500.0], said("the new one"), said("the one that waited")) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob", Role.SPEAKER)
            await ann.join("lobby")
            first = await ann.ask("lobby", "one")
            await ann.until_type("response.output_text.delta")
            waits = await ann.ask("lobby", "two")
            new = await bob.ask("lobby", "three", on_busy="interrupt")
            assert (new["status"], new["position"], new["on_busy"]) == ("queued", 1, "interrupt")
            done = await ann.until_type("response.cancelled", first["response_id"])
            assert done["response"]["output"][0]["content"][0]["text"] == "so far"
            assert (done["receipt"]["by"]["id"], done["receipt"]["reason"]) == ("bob", "interrupt")
            await ann.until_type("response.completed", new["response_id"])
            await ann.until_type("response.completed", waits["response_id"])
            told = [item["content"][0]["text"] for item in rig.upstream.requests[1].input]
            assert told == ["one", "so far", "three"]
            assert rig.upstream.hung_up == 3

    virtual_time.run(scenario())


def test_prompts_that_wait_become_one_request_also_after_a_restart() -> None:
    async def scenario() -> None:
        rulebook = Rulebook(profiles={"default": Profile(name="default")}, model="m", on_busy="merge")
        async with a_rig(["half", 500.0], rulebook=rulebook) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob", Role.SPEAKER)
            await ann.join("lobby")
            await ann.ask("lobby", "one")
            merged = await ann.ask("lobby", "two")
            newest = await bob.ask("lobby", "three")
            left = await ann.until_type("response.cancelled", merged["response_id"])
            assert (left["reason"], left["into"]) == ("merged", newest["response_id"])
            await ann.until_text("lobby", "half")
            store = rig.store
        async with a_rig(said("all of it"), store=store) as rig:
            await rig.hub.recover()
            late = rig.viewer("late")
            await late.join("lobby", after={"epoch": rig.room("lobby").epoch, "seq": 0})
            await late.until_type("response.completed", newest["response_id"])
            [request] = rig.upstream.requests
            assert [item["content"][0]["text"] for item in request.input] == ["one", "half", "two", "three"]

    virtual_time.run(scenario())


def test_a_prompt_that_is_changed_while_it_waits_reaches_the_model_in_its_last_words() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 5.0), said("b"), said("c")) as rig:
            ann, bob = rig.viewer("ann", Role.SPEAKER), rig.viewer("bob", Role.SPEAKER)
            await ann.join("lobby")
            await ann.ask("lobby", "one")
            second, third = await ann.ask("lobby", "two"), await ann.ask("lobby", "three")
            where = {"response_id": second["response_id"], "id": "same"}
            reply = await ann.command("queue.update", "lobby", **where, content="zwei", position=2)
            assert [entry["response_id"] for entry in reply["result"]["queue"]] == [
                third["response_id"],
                second["response_id"],
            ]
            assert (await ann.command("queue.update", "lobby", **where, content="zwei", position=2)) == reply, "once"
            other = await bob.command("queue.update", "lobby", response_id=third["response_id"], remove=True)
            assert other["error"]["code"] == "forbidden"
            await ann.until_type("response.completed", second["response_id"])
            told = [item["content"][0]["text"] for item in rig.upstream.requests[2].input]
            assert told == ["one", "a", "three", "b", "zwei"]
            late = await ann.command("queue.update", "lobby", response_id=second["response_id"], remove=True)
            assert late["error"]["code"] == "already_decided"

    virtual_time.run(scenario())


def test_reject_refuses_while_a_response_runs() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 5.0)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "one")
            seq = rig.room("lobby").state.seq
            reply = await ann.command("message.create", "lobby", content="two", on_busy="reject")
            assert reply["error"]["code"] == "room_busy"
            items = [got for got in ann.events("lobby") if got["type"] == "item.created" and got["seq"] > seq]
            assert items == []

    virtual_time.run(scenario())


def test_a_drain_waits_for_what_ends_in_time_and_interrupts_the_rest() -> None:
    async def scenario() -> None:
        async with a_rig(said("short", 2.0), ["long", 10.0] * 20) as rig:
            ann = rig.viewer("ann")
            await ann.join("a")
            await ann.join("b")
            short = await ann.ask("a", "x")
            await ann.until_type("response.output_text.delta")
            long = await ann.ask("b", "x")
            queued = await ann.ask("b", "next")
            rig.hub.settle()
            refused = await ann.command("message.create", "a", content="more")
            assert refused["error"]["code"] == "draining"
            await rig.scheduler.drain(30)
            await ann.until_type("response.completed", short["response_id"])
            ended = await ann.until_type("response.interrupted", long["response_id"])
            assert (ended["cause"], ended["retryable"]) == ("drain", True)
            assert ended["response"]["incomplete_details"] == {"reason": "interrupted"}
            await anyio.sleep(1)
            assert rig.room("b").state.queue == [queued["response_id"]], "it starts after the restart"
            assert rig.upstream.hung_up == 2

    virtual_time.run(scenario())


def test_after_a_crash_what_ran_is_interrupted_and_what_waited_starts() -> None:
    async def scenario() -> None:
        async with a_rig(said("some text", 500.0)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            ran = await ann.ask("lobby", "one")
            waited = await ann.ask("lobby", "two")
            await ann.until_type("response.output_text.delta")
            store, seen = rig.store, ann.events("lobby")
        async with a_rig(said("answer"), store=store) as rig:
            await rig.hub.recover()
            bob = rig.viewer("bob")
            cursor = {"epoch": rig.room("lobby").epoch, "seq": 0}
            joined = await bob.join("lobby", after=cursor)
            assert joined["resumed"]
            ended = await bob.until_type("response.interrupted", ran["response_id"])
            assert ended["cause"] == "restart"
            assert ended["response"]["output"][0]["content"][0]["text"] == "some text"
            await bob.until_type("response.completed", waited["response_id"])
            replayed = {got["seq"]: got for got in bob.events("lobby") if "seq_from" not in got}
            assert all(replayed.get(got["seq"], got) == got for got in seen), "a seq never means something else"

    virtual_time.run(scenario())


def test_only_so_many_generations_run_at_once() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 10.0), limits=Limits(generations=1)) as rig:
            await anyio.sleep(100)
            ann = rig.viewer("ann")
            for room in ("a", "b"):
                await ann.join(room)
                await ann.ask(room, "x")
            await anyio.sleep(1)
            assert len(rig.upstream.requests) == 1
            reply = await ann.command("response.cancel", "b")
            assert reply["ok"]
            stopped = await ann.until(lambda got: got["type"] == "response.cancelled" and got["room"] == "b")
            assert stopped["timings"]["total_ms"] == 1_000, "counted from when it was said to run"
            await ann.until(lambda got: got["type"] == "response.completed" and got["room"] == "a")
            assert len(rig.upstream.requests) == 1

    virtual_time.run(scenario())


def test_a_lost_connection_stops_nothing() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 5.0, "b")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "x")
            ann.pump.close()
            bob = rig.viewer("bob")
            await bob.join("lobby")
            done = await bob.until_type("response.completed")
            assert done["response"]["output"][0]["content"][0]["text"] == "ab"

    virtual_time.run(scenario())
