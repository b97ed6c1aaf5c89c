"""Tests of roomcast/room/committer.py: decide, append, and only then show."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import orjson
import pytest

from roomcast.core.errors import StorageError, StorageFull, StorageUnavailable
from roomcast.core.events import Record, encode_events
from roomcast.core.intents import Opened
from roomcast.core.limits import Limits
from roomcast.core.ports import READ_BYTES, Append, Committed, Conflict, Events, Expired
from tests.support import virtual_time
from tests.support.rig import FaultyStore, ScriptedUpstream, a_rig, said


def test_nobody_hears_of_an_event_before_it_is_committed() -> None:
    """C1: with the store held back, neither reply nor event is sent; then both are."""

    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            seen = len(ann.received)
            rig.store.gate = anyio.Event()
            ann.send("message.create", "lobby", content="hello", respond="never")
            await anyio.sleep(5)
            assert len(ann.received) == seen
            rig.store.gate.set()
            await ann.until_type("item.created")

    virtual_time.run(scenario())


def test_what_waits_while_an_append_is_under_way_is_one_batch() -> None:
    async def scenario() -> None:
        upstream = ScriptedUpstream(said(*"abcdefgh"))
        async with a_rig(upstream=upstream) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            upstream.before_open = anyio.Event()
            asked = await ann.ask("lobby", "spell")
            rig.store.gate = anyio.Event()
            upstream.before_open.set()
            await anyio.sleep(1)
            rig.store.gate.set()
            rig.store.gate = None
            await ann.until_type("response.completed", asked["response_id"])
            deltas = [got for got in ann.events("lobby") if got["type"] == "response.output_text.delta"]
            assert "".join(got["delta"] for got in deltas) == "abcdefgh"
            assert len(deltas) <= 2, "neighbouring deltas become one event while a commit is under way"

    virtual_time.run(scenario())


def test_rooms_share_one_append() -> None:
    async def scenario() -> None:
        calls: list[int] = []

        class Counting(FaultyStore):
            async def append(self, batches: Sequence[Append]) -> Sequence[Committed | Conflict]:
                calls.append(len(batches))
                return await super().append(batches)

        async with a_rig(store=Counting()) as rig:
            rig.store.gate = anyio.Event()
            for name in ("a", "b", "c", "d"):
                rig.room(name).submit(Opened())
            await anyio.sleep(1)
            rig.store.gate.set()
            await rig.hub.flush()
            assert sum(calls) == 4
            assert len(calls) <= 2

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("error", "code"), [(StorageFull("full"), "storage_full"), (StorageUnavailable("gone"), "unavailable")]
)
def test_a_command_that_could_not_be_stored_is_refused_and_has_no_effect(error: StorageError, code: str) -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            before = rig.room("lobby").position
            rig.store.fail_with = error
            reply = await ann.command("message.create", "lobby", content="x")
            assert (reply["ok"], reply["error"]["code"]) == (False, code)
            assert rig.room("lobby").position == before
            rig.store.fail_with = None
            again = await ann.command("message.create", "lobby", content="x")
            assert again["ok"]

    virtual_time.run(scenario())


def test_output_waits_for_a_store_that_comes_back_and_nothing_of_it_is_lost() -> None:
    async def scenario() -> None:
        upstream = ScriptedUpstream(said("one ", 1.0, "two ", 1.0, "three"))
        async with a_rig(upstream=upstream) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            asked = await ann.ask("lobby", "count")
            await ann.until_type("response.output_text.delta")
            rig.store.fail_with = StorageUnavailable("gone")
            degraded = await ann.until_type("room.degraded")
            assert degraded["reason"] == "unavailable"
            await anyio.sleep(3)
            assert ann.text("lobby") == "one "
            rig.store.fail_with = None
            done = await ann.until_type("response.completed", asked["response_id"])
            assert ann.text("lobby") == "one two three"
            assert done["response"]["output"][0]["content"][0]["text"] == "one two three"
            await ann.until_type("room.restored")

    virtual_time.run(scenario())


def test_a_conflict_is_folded_in_and_the_same_intent_is_decided_again() -> None:
    """C2: another writer was first; both writers' events stand, each once, in one order."""

    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            room = rig.room("lobby")
            seq = room.state.seq + 1
            foreign = {**orjson.loads((await _read(rig.store, "lobby"))[0].data), "seq": seq, "type": "room.updated"}
            written = await FaultyStore.append(
                rig.store,
                [
                    Append(
                        room="lobby",
                        epoch=room.epoch,
                        expected_seq=room.state.seq,
                        records=encode_events([foreign]),
                    )
                ],
            )
            assert isinstance(written[0], Committed)
            asked = await ann.ask("lobby", "hello", respond="never")
            assert asked["seq"] == seq + 1
            await ann.until_type("item.created")
            assert [got["seq"] for got in ann.events("lobby")] == [seq, asked["seq"]]

    virtual_time.run(scenario())


def test_who_only_comes_to_watch_needs_nothing_of_a_store_that_is_full() -> None:
    async def scenario() -> None:
        async with a_rig(said("a", 1.0, "b", 500.0)) as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await ann.ask("lobby", "talk")
            await ann.until_text("lobby", "a")
            rig.store.fail_with = StorageFull("full")
            await ann.until_type("room.degraded")
            joined = await bob.join("lobby")
            assert joined["snapshot"]["responses"][0]["output"][0]["content"][0]["text"] == "a"
            assert (await bob.command("room.leave", "lobby"))["ok"]
            refused = await bob.command("room.join", "a-room-to-be-made")
            assert refused["error"]["code"] == "storage_full"
            await bob.join("lobby")
            rig.store.fail_with = None
            await bob.until_text("lobby", "b")

    virtual_time.run(scenario())


def test_a_round_is_no_larger_than_one_write_may_be_and_the_rest_follows_in_order() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, bob = rig.viewer("ann"), rig.viewer("bob")
            await ann.join("lobby")
            await bob.join("lobby")
            rig.store.gate = anyio.Event()
            texts = [str(index) * 30_000 for index in range(10, 50)]
            ids = [ann.send("message.create", "lobby", content=text, respond="never") for text in texts]
            await anyio.sleep(1)
            bob.socket.stall()
            rig.store.gate.set()
            for command_id in ids:
                assert (await ann.reply_to(command_id))["ok"]
            assert bob.socket.buffered_bytes() < 2 * rig.limits.batch_bytes
            told = [got["item"]["content"][0]["text"] for got in ann.events("lobby") if got["type"] == "item.created"]
            assert told == texts
            bob.socket.read_on()
            await bob.until(lambda got: got.get("seq") == rig.room("lobby").state.seq)
            assert len(bob.events("lobby")) == len(texts)

    virtual_time.run(scenario())


def test_a_conflict_whose_winner_cannot_be_read_at_once_leaves_no_hole() -> None:
    async def scenario() -> None:
        store = Unreadable()
        async with a_rig(store=store) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            room = rig.room("lobby")
            seq = room.state.seq + 1
            foreign = {**orjson.loads((await _read(store, "lobby"))[0].data), "seq": seq, "type": "room.updated"}
            batch = Append(room="lobby", epoch=room.epoch, expected_seq=seq - 1, records=encode_events([foreign]))
            await FaultyStore.append(store, [batch])
            store.failures = 1
            refused = await ann.command("message.create", "lobby", content="hello", respond="never")
            assert refused["error"]["code"] == "unavailable"
            asked = await ann.ask("lobby", "hello", respond="never")
            assert [got["seq"] for got in ann.events("lobby")] == [seq, asked["seq"]]

    virtual_time.run(scenario())


def test_a_copy_of_a_command_gets_the_first_answer_and_has_no_second_effect() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            first = await ann.command("message.create", "lobby", id="same", content="x", respond="never")
            twin = rig.viewer("ann")
            second = await twin.command("message.create", "lobby", id="same", content="x", respond="never")
            assert second["result"] == first["result"]
            items = [got for got in ann.events("lobby") if got["type"] == "item.created"]
            assert len(items) == 1

    virtual_time.run(scenario())


def test_copies_that_arrive_together_share_one_answer() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann, twin = rig.viewer("ann"), rig.viewer("ann")
            await ann.join("lobby")
            ann.send("message.create", "lobby", id="same", content="x")
            twin.send("message.create", "lobby", id="same", content="x")
            other = rig.viewer("ann")
            other.send("message.create", "lobby", id="same", content="y")
            first, second = await ann.reply_to("same"), await twin.reply_to("same")
            assert first["result"] == second["result"]
            refused = await other.reply_to("same")
            assert refused["error"]["code"] == "command_id_reused"
            await ann.until_type("response.completed")
            assert len(rig.upstream.requests) == 1

    virtual_time.run(scenario())


def test_the_same_id_with_another_body_is_refused_also_later() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.command("message.create", "lobby", id="same", content="x", respond="never")
            other = rig.viewer("ann")
            reply = await other.command("message.create", "lobby", id="same", content="y", respond="never")
            assert reply["error"]["code"] == "command_id_reused"
            bob = rig.viewer("bob")
            reply = await bob.command("message.create", "lobby", id="same", content="y", respond="never")
            assert reply["ok"], "an id is one member's own"

    virtual_time.run(scenario())


def test_a_refusal_is_not_kept() -> None:
    async def scenario() -> None:
        async with a_rig() as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            refused = await ann.command("response.cancel", "lobby", id="stop")
            assert refused["error"]["code"] == "no_running_response"
            rig.upstream.scripts = [said("a", 60.0, "b")]
            await ann.ask("lobby", "go on")
            other = rig.viewer("ann")
            assert (await other.command("response.cancel", "lobby", id="stop"))["ok"]

    virtual_time.run(scenario())


def test_a_checkpoint_is_written_every_so_many_events_and_opening_starts_from_it() -> None:
    async def scenario() -> None:
        limits = Limits(checkpoint_events=10)
        store = FaultyStore()
        async with a_rig(limits=limits, store=store) as rig:
            ann = rig.viewer("ann")
            for _ in range(12):
                await ann.ask("lobby", "note", respond="never")
            saved = await store.checkpoint("lobby")
            assert saved is not None
            assert saved.seq == 10
            state = rig.room("lobby").state.dump()
        async with a_rig(limits=limits, store=store) as rig:
            await rig.hub.flush()
            bob = rig.viewer("bob")
            await bob.join("lobby")
            assert rig.room("lobby").state.dump() == state

    virtual_time.run(scenario())


def test_prompts_and_terminals_are_synced_and_deltas_are_not() -> None:
    async def scenario() -> None:
        upstream = ScriptedUpstream(said("a", 1.0, "b"))
        async with a_rig(upstream=upstream) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            await ann.ask("lobby", "hello")
            await ann.until_type("response.completed")
            for batch in rig.store.appended:
                types = {record.type for record in batch.records}
                wants = bool(types & {"item.created", "response.created", "response.completed"})
                assert batch.sync == wants, types

    virtual_time.run(scenario())


def test_history_has_also_what_one_commit_brought_and_the_state_could_not_keep() -> None:
    async def scenario() -> None:
        async with a_rig(limits=Limits(state_items=3)) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            rig.store.gate = anyio.Event()
            ids = [ann.send("message.create", "lobby", content=str(index), respond="never") for index in range(10)]
            await anyio.sleep(1)
            rig.store.gate.set()
            for command_id in ids:
                assert (await ann.reply_to(command_id))["ok"]
            page = (await ann.command("history.list", "lobby", limit=20))["result"]["items"]
            assert [item["content"][0]["text"] for item in page] == [str(index) for index in reversed(range(10))]

    virtual_time.run(scenario())


class Unreadable(FaultyStore):
    """Fails its next `failures` reads."""

    failures = 0

    async def read(self, room: str, after: int, limit: int, limit_bytes: int = READ_BYTES) -> Events | Expired:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("gone")
        return await super().read(room, after, limit, limit_bytes)


async def _read(store: FaultyStore, room: str) -> Sequence[Record]:
    read = await store.read(room, 0, 100)
    assert isinstance(read, Events)
    return read.records
