"""Tests of roomcast/room/committer.py: what fails costs only what it is about."""

from __future__ import annotations

import anyio

from roomcast.core.intents import Recovered
from roomcast.core.limits import Limits
from roomcast.core.ports import Finish
from roomcast.core.profile import Profile
from roomcast.core.rules import Rulebook
from tests.support import virtual_time
from tests.support.rig import Step, a_rig, said


class Breaking(dict[str, Profile]):
    """Profiles of which one breaks whoever looks for it."""

    def get(self, name: str, default: Profile | None = None) -> Profile | None:  # type: ignore[override]
        if name == "broken":
            raise RuntimeError("a fault of ours")
        return super().get(name, default)


def test_c4_a_command_that_the_rules_break_on_is_answered_and_costs_nobody_else() -> None:
    async def scenario() -> None:
        rulebook = Rulebook(profiles=Breaking(default=Profile(name="default")), model="m")
        async with a_rig(rulebook=rulebook, breaks=True) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            rig.store.gate = anyio.Event()
            asked = [
                viewer.send("message.create", "lobby", content=profile, profile=profile)
                for viewer, profile in ((ann, "default"), (bob, "broken"), (bob, "default"))
            ]
            await anyio.sleep(1)
            rig.store.gate.set()
            refused = await bob.reply_to(asked[1])
            assert (refused["error"]["code"], "a fault" in str(refused)) == ("internal", False)
            for viewer, command_id in ((ann, asked[0]), (bob, asked[2])):
                response_id = (await viewer.reply_to(command_id))["result"]["response_id"]
                assert await ann.until_type("response.completed", response_id)
            told = [got["item"]["content"][0]["text"] for got in ann.events("lobby") if got["type"] == "item.created"]
            assert told == ["default", "default"]

    virtual_time.run(scenario())


def test_c4_an_ending_that_the_rules_break_on_still_ends_its_response() -> None:
    async def scenario() -> None:
        script: list[Step] = ["Hel", Finish("completed", response={"odd": object()})]
        async with a_rig(script, said("fine"), breaks=True) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "hello")
            ended = await ann.until_type("response.interrupted", asked["response_id"])
            assert (ended["cause"], ended["response"]["output"][0]["content"][0]["text"]) == ("owner_lost", "Hel")
            again = await ann.ask("lobby", "again")
            assert await ann.until_type("response.completed", again["response_id"])

    virtual_time.run(scenario())


class BrokenCounter:
    """Counts no tokens."""

    def count(self, text: str) -> int:
        raise RuntimeError("a fault of ours")


def test_c4_output_that_the_rules_break_on_ends_its_response_and_nothing_hangs() -> None:
    async def scenario() -> None:
        limits = Limits(running_bytes=2_000)
        rulebook = Rulebook(limits=limits, profiles={"default": Profile(name="default")}, tokens=BrokenCounter())
        async with a_rig(["x" * 5_000, 500.0], said("fine"), limits=limits, rulebook=rulebook, breaks=True) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "hello")
            ended = await ann.until_type("response.failed", asked["response_id"])
            assert ended["response"]["error"]["code"] == "internal"
            again = await ann.ask("lobby", "again")
            assert await ann.until_type("response.completed", again["response_id"])
            assert rig.upstream.hung_up == 2

    virtual_time.run(scenario())


def test_c3_on_a_full_disk_an_ending_goes_through_beside_a_command_that_does_not() -> None:
    """What shares a transaction on good days shares no refusal on bad ones."""

    async def scenario() -> None:
        async with a_rig(said("a", 1.0, "b")) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("here")
            await bob.join("there")
            asked = await ann.ask("here", "talk")
            rig.store.full_for = lambda batch: not batch.released
            rig.store.gate = anyio.Event()
            rig.room("here").submit(Recovered("drain"))
            refused = bob.send("message.create", "there", content="x", respond="never")
            await anyio.sleep(0.1)
            rig.store.gate.set()
            assert (await bob.reply_to(refused))["error"]["code"] == "storage_full"
            assert await ann.until_type("response.interrupted", asked["response_id"])

    virtual_time.run(scenario())


def test_more_output_than_a_batch_is_kept_through_an_outage_and_what_comes_behind_it_is_answered() -> None:
    async def scenario() -> None:
        limits = Limits(batch_bytes=2_000, uncommitted_bytes=4_000)
        async with a_rig(["a", 1.0, "b" * 5_000, 500.0], limits=limits) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await ann.until_text("lobby", "a")
            rig.store.full_for = lambda batch: not batch.released
            await anyio.sleep(2)
            refused = await ann.command("message.create", "lobby", content="x")
            assert refused["error"]["code"] == "storage_full"
            ended = await ann.until_type("response.failed", asked["response_id"])
            assert ended["response"]["error"]["code"] == "storage_unavailable", "an ending does not wait behind output"
            assert ann.text("lobby") == "a" + "b" * 5_000

    virtual_time.run(scenario())


def test_c3_an_ending_does_not_wait_for_space_for_a_checkpoint() -> None:
    async def scenario() -> None:
        limits = Limits(checkpoint_events=1)
        async with a_rig(said("a", 1.0, "b"), limits=limits) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "talk")
            await ann.until_text("lobby", "a")
            rig.store.full_for = lambda batch: batch.checkpoint is not None or not batch.released
            await ann.until_type("response.completed", asked["response_id"])
            rig.store.full_for = None
            before = rig.store.appended[-1]
            await ann.ask("lobby", "thanks", respond="never")
            assert (before.checkpoint, rig.store.appended[-1].checkpoint is None) == (None, False)

    virtual_time.run(scenario())


def test_a_room_that_the_store_refuses_delays_no_other() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 1.0, "b", 500.0)) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("here")
            await bob.join("there")
            await ann.ask("here", "talk")
            await ann.until_text("here", "a")
            rig.store.full_for = lambda batch: batch.room == "here"
            await ann.until_type("room.degraded")
            await anyio.sleep(8)  # by now it is tried once a second
            before_s, calls = rig.clock.monotonic_s(), rig.store.calls
            for number in range(20):
                await bob.ask("there", str(number), respond="never")
            assert rig.clock.monotonic_s() - before_s < 0.1
            await anyio.sleep(5)
            assert rig.store.calls - calls <= 20 + 12, "and it is not tried all the time"
            rig.store.full_for = None
            await ann.until_type("room.restored")
            await ann.until_text("here", "ab")

    virtual_time.run(scenario())


def test_c4_an_answer_that_cannot_be_told_costs_no_other() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")

            def broken(outcome: object) -> None:
                raise RuntimeError("a fault of ours")

            rig.store.gate = anyio.Event()
            rig.room("lobby").submit(Recovered("drain"), broken)
            asked = ann.send("message.create", "lobby", content="hello", respond="never")
            await anyio.sleep(0.1)
            rig.store.gate.set()
            assert (await ann.reply_to(asked))["ok"]
            assert await ann.ask("lobby", "still there?", respond="never")

    virtual_time.run(scenario())
