"""Random lives of one room, from intents to what its viewers have: all of the core at once.

Intents wait, are decided in batches of any size, are thrown away when another writer was
first and decided again, and are lost in crashes. Checkpoints are written, and old events let go
of. Viewers join, lag, skip, lose their connection and come back with any cursor. Whatever
happens: the log obeys its rules, the state is what the log says, and every viewer has exactly
what the log has.
"""

from __future__ import annotations

from typing import Literal

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from roomcast.core.batch import Batch, Rulebook
from roomcast.core.commands import (
    MessageCreate,
    QueueUpdate,
    ResponseCancel,
    ResponseCreate,
    RoomCommand,
    RoomSettings,
    RoomUpdate,
)
from roomcast.core.deadlines import ORPHANED
from roomcast.core.errors import Refusal, UpstreamError
from roomcast.core.events import Cursor, JsonObject, Record, decode_event, encode_events
from roomcast.core.intents import Commanded, CutShort, Due, Ended, Ending, HungUp, Intent, Produced, Recovered
from roomcast.core.limits import Limits
from roomcast.core.ports import Finish
from roomcast.core.profile import Profile
from roomcast.core.room_state import RoomState
from roomcast.core.rules import decide
from roomcast.core.session import Member
from roomcast.core.tail import Tail
from tests.support.auditor import audit_viewer
from tests.support.pure_reader import PureReader
from tests.support.pure_room import ANN, BOB, delta, item_added, item_done
from tests.support.reference import audit_log, story_at

LIMITS = Limits(state_items=400, queue_length=3, running_bytes=1_500, upstream_event_bytes=60)
RULEBOOK = Rulebook(limits=LIMITS, profiles={"default": Profile(name="default")}, model="m")
EPOCH = "ep_1"

WHO = st.sampled_from([ANN, BOB])
TEXT = st.text(max_size=8) | st.sampled_from(["🎉", "é\u0301", "‮"])
PICK = st.integers(0, 7)
ENDINGS: list[Ending] = [
    Finish("completed"),
    Finish("incomplete", reason="max_output_tokens"),
    Finish("failed"),
    CutShort("upstream_eof"),
    CutShort("time_limit"),
    UpstreamError("upstream_disconnected", "cut"),
    HungUp(5),
]
BATCH = st.integers(1, 6)
ON_BUSY = st.sampled_from([None, None, "enqueue", "reject", "interrupt", "latest", "merge", "debounce"])
WAIT = st.sampled_from([False, False, True])
OnBusy = Literal["enqueue", "reject", "interrupt", "latest", "merge", "debounce"] | None
Respond = Literal["auto", "never"]


class RoomMachine(RuleBasedStateMachine):
    """One room, its log, its writers and its viewers."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RoomState("lobby", keep_items=LIMITS.state_items)
        self.log: list[Record] = []
        self.tail = Tail(0, limit_bytes=3_000, limit_events=8)
        self.events: list[JsonObject] = []
        self.waiting: list[Intent] = []
        self.saved: bytes | None = None
        self.saved_seq = 0
        self.floor = 0
        self.draining = False
        self.now_ms = 1_000
        self.ids = 0
        self.viewers: list[PureReader] = []

    @initialize(texts=st.lists(TEXT, min_size=1, max_size=4), waits=st.booleans())
    def a_viewer_sees_somebody_ask_and_the_model_begin(self, texts: list[str], *, waits: bool) -> None:
        self.viewers.append(PureReader())
        self.viewers[0].join(self.state, EPOCH, None)
        self.say("hi", ANN)
        if waits:
            self.say("next", BOB)
        self.commit_all()
        running = self.running()
        self.waiting.append(Produced(running, [item_added(f"out_{running}_{index}", index) for index in (0, 1)], 0))
        self.produce(running, [delta(text, "") for text in texts])
        self.commit_all()

    # -- what people and models do: intents that wait, or are decided at once ---------------------

    @rule(who=WHO, text=TEXT, respond=st.sampled_from(["auto", "auto", "never"]), on_busy=ON_BUSY, wait=WAIT)
    def somebody_says_something(self, who: Member, text: str, respond: Respond, on_busy: OnBusy, *, wait: bool) -> None:
        self.say(text, who, respond=respond, on_busy=on_busy)
        self.commit_all(unless=wait)

    @rule(who=WHO, back=PICK, on_busy=ON_BUSY, text=st.none() | TEXT, wait=WAIT)
    def somebody_asks_for_a_response(
        self, who: Member, back: int, on_busy: OnBusy, text: str | None, *, wait: bool
    ) -> None:
        known = list(self.state.items)
        parent_id = known[-1 - back] if back < len(known) and back % 2 else None
        self.command(ResponseCreate(id="c", room="lobby", input=text, parent_id=parent_id, on_busy=on_busy), who)
        self.commit_all(unless=wait)

    @rule(who=WHO, pick=st.none() | PICK, wait=WAIT)
    def somebody_cancels(self, who: Member, pick: int | None, *, wait: bool) -> None:
        self.command(ResponseCancel(id="c", room="lobby", response_id=self.some_response(pick)), who)
        self.commit_all(unless=wait)

    @rule(texts=st.lists(TEXT, min_size=1, max_size=5), final=st.none() | TEXT, place=st.integers(0, 1), wait=WAIT)
    def the_model_says_something(self, texts: list[str], final: str | None, place: int, *, wait: bool) -> None:
        drafts = [delta(text, "", content_index=place) for text in texts]
        if final is not None:
            drafts.append({**delta("", "", content_index=place), "type": "response.output_text.done", "text": final})
        self.produce(self.running(), drafts)
        self.commit_all(unless=wait)

    @rule(pieces=st.lists(st.tuples(TEXT, st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=6))
    def the_model_streams(self, pieces: list[tuple[str, int, int]]) -> None:
        """One commit a piece, in one of its items and one of that item's parts."""
        response_id = self.running()
        for text, back, place in pieces:
            self.produce(response_id, [delta(text, "", content_index=place)], back=back)
            self.commit_all()

    @rule(closed_with=st.none() | TEXT, wait=WAIT)
    def the_model_begins_another_item(self, closed_with: str | None, *, wait: bool) -> None:
        response_id = self.running()
        item_id, index = self.newest(response_id)
        begun = self.announced(response_id)
        done = [] if closed_with is None or not begun else [item_done(item_id, closed_with, index)]
        added = item_added(f"out_{response_id}_{len(begun)}", len(begun))
        self.waiting.append(Produced(response_id, [*done, added], 0))
        self.commit_all(unless=wait)

    @rule(pick=PICK, wait=WAIT)
    def the_model_says_something_odd(self, pick: int, *, wait: bool) -> None:
        odd: list[JsonObject] = [
            {"type": "response.hologram.delta", "delta": "x"},
            {"type": "response.completed", "response": {}},
            {"type": "item.created", "item": {"id": "forged"}, "seq": 1},
            {**delta("", "nowhere", 9), "delta": None},
            delta("lost", "nowhere", 9),
            {"type": "response.odd", "seq": 1, "by": "me"},
            {"type": "response.odd", "big": 2**70},
        ]
        self.waiting.append(Produced(self.running(), odd[pick % 7 :], 0))
        self.commit_all(unless=wait)

    @rule(who=WHO, title=st.sampled_from([None, "A title"]), on_busy=ON_BUSY, wait=WAIT)
    def somebody_changes_the_room(self, who: Member, title: str | None, on_busy: OnBusy, *, wait: bool) -> None:
        settings = RoomSettings(on_busy=on_busy)
        self.command(RoomUpdate(id="c", room="lobby", title=title, settings=settings), who)
        self.commit_all(unless=wait)

    @rule(pick=st.sampled_from([0, 0, 0, 1, 5]), ending=st.sampled_from(ENDINGS), wait=WAIT)
    def a_generation_ends(self, pick: int, ending: Ending, *, wait: bool) -> None:
        self.waiting.append(Ended(self.some_response(pick) or "resp_gone", ending, usage={"output_tokens": 1}))
        self.commit_all(unless=wait)

    @rule(cause=st.sampled_from(["owner_lost", "drain"]), pick=st.none() | PICK, goes_on=st.booleans())
    def a_generation_is_given_up(self, cause: str, pick: int | None, *, goes_on: bool) -> None:
        response_id = self.some_response(pick)
        named = None if response_id is None else (response_id,)
        self.waiting.append(Recovered(cause, named, start_next=goes_on))

    @rule(pick=st.none() | PICK, wait=WAIT)
    def something_is_due(self, pick: int | None, *, wait: bool) -> None:
        named = [*self.state.deadlines, "quiet:resp_1"]
        self.waiting.append(Due(ORPHANED if pick is None else named[pick % len(named)]))
        self.commit_all(unless=wait)

    @rule(who=WHO, pick=PICK, text=st.none() | TEXT, position=st.none() | st.integers(1, 4), wait=WAIT)
    def somebody_changes_the_line(
        self, who: Member, pick: int, text: str | None, position: int | None, *, wait: bool
    ) -> None:
        response_id = self.some_response(pick) or "resp_gone"
        remove = text is None and position is None
        change = QueueUpdate(
            id="c", room="lobby", response_id=response_id, content=text, position=position, remove=remove
        )
        self.command(change, who)
        self.commit_all(unless=wait)

    # -- what becomes of them ---------------------------------------------------------------------

    @precondition(lambda self: self.waiting)
    @rule(count=BATCH, passed_ms=st.integers(-50, 500))
    def a_round_commits(self, count: int, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.commit(self.decided(self.waiting[:count]))
        del self.waiting[:count]

    @precondition(lambda self: self.waiting)
    @rule(count=BATCH, then=BATCH, cancels=st.booleans())
    def a_round_finds_that_another_writer_was_first(self, count: int, then: int, *, cancels: bool) -> None:
        before = self.state.dump()
        self.decided(self.waiting[:count])
        assert self.state.dump() == before  # thrown away: as if it had not been
        theirs = MessageCreate(id="c", room="lobby", content="from another node", respond="never")
        cancel = ResponseCancel(id="c", room="lobby")
        self.commit(self.decided([self.commanded(cancel if cancels else theirs, BOB)]))
        self.a_round_commits(then, 0)

    @rule()
    def a_checkpoint_is_written(self) -> None:
        self.saved, self.saved_seq = self.state.dump(), self.state.seq

    @precondition(lambda self: self.floor < self.saved_seq)
    @rule(part=st.floats(0.1, 1))
    def the_oldest_events_are_let_go_of(self, part: float) -> None:
        self.floor += round(part * (self.saved_seq - self.floor))

    @rule(drains=st.booleans())
    def the_process_ends_and_another_takes_over(self, *, drains: bool) -> None:
        if drains:
            self.draining = True
            self.waiting.append(Recovered("drain", start_next=False))
            self.commit_all()
        before = self.state.dump()
        self.waiting = [Recovered("restart")]
        self.draining = False
        self.state = RoomState("lobby", keep_items=LIMITS.state_items)
        if self.saved is not None:
            self.state = RoomState.load(self.saved, keep_items=LIMITS.state_items)
        assert self.state.seq >= self.floor
        for record in self.log[self.state.seq :]:
            self.state.fold(decode_event(record))
        assert self.state.dump() == before  # a checkpoint and what follows are the state

    # -- viewers ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.viewers) < 4)
    @rule(items=st.sampled_from([0, 2, 50]))
    def a_viewer_arrives(self, items: int) -> None:
        viewer = PureReader(items)
        viewer.join(self.state, EPOCH, None)
        self.viewers.append(viewer)

    @rule(but=st.integers(0, 4), limit_bytes=st.sampled_from([1, 400, 2_000, 100_000]))
    def all_viewers_but_one_read_on(self, but: int, limit_bytes: int) -> None:
        for number, viewer in enumerate(self.viewers):
            if number != but:
                self.spare_what_is_gone(viewer)
                viewer.read(self.log, limit_bytes, self.tail)
                viewer.told_head(self.state)

    @rule(pick=PICK)
    def a_viewer_falls_behind_too_far(self, pick: int) -> None:
        self.viewers[pick % len(self.viewers)].reset(self.state)

    @rule(pick=PICK, older=st.integers(0, 30), epoch=st.sampled_from([EPOCH, EPOCH, EPOCH, "ep_other"]))
    def a_viewer_loses_its_connection_and_comes_back(self, pick: int, older: int, epoch: str) -> None:
        viewer = self.viewers[pick % len(self.viewers)]
        viewer.disconnect()
        kept = viewer.cursor.seq if older < 20 else max(0, viewer.cursor.seq - older + 20)
        viewer.join(self.state, EPOCH, Cursor(epoch, kept), self.floor)

    # -- what always holds ------------------------------------------------------------------------

    @invariant()
    def the_log_obeys_its_rules(self) -> None:
        assert audit_log(self.events) == []

    @invariant()
    def the_state_is_what_the_log_says(self) -> None:
        story = story_at(self.events, self.state.seq)
        state = self.state
        assert (state.queue, state.running, len(state.running) <= 1) == (story.queue, story.running, True)
        assert {known.id: known.status.value for known in state.responses.values()} == story.statuses
        assert [known.id for known in state.items.values()] == [item_id for _, item_id, _ in story.items]
        for running in state.running:
            assert state.responses[running].output.digest() == story.text_digest(running)
        assert state.running_bytes <= LIMITS.running_bytes
        assert len(state.queue) <= LIMITS.queue_length

    def teardown(self) -> None:
        """Everything comes to rest, and everybody has everything."""
        for _ in range(10 + LIMITS.queue_length):
            self.waiting += [Due(name) for name in self.state.deadlines]
            self.waiting.append(Recovered("restart", ()))  # gives up nothing, and starts what waits
            self.commit_all()
            for running in self.state.running:
                cancelled = self.state.responses[running].status == "cancelling"
                self.waiting.append(Ended(running, HungUp(1) if cancelled else Finish("completed")))
        assert audit_log(self.events, at_rest=True) == []
        refolded = RoomState("lobby", keep_items=LIMITS.state_items)
        for event in self.events:
            refolded.fold(event)
        assert refolded.dump() == self.state.dump()
        for viewer in self.viewers:
            self.spare_what_is_gone(viewer)
            viewer.read_all(self.log, self.tail)
            assert audit_viewer(viewer.transcript, self.events, room="lobby", complete=True) == []

    # -- how ----------------------------------------------------------------------------------------

    def command(self, command: RoomCommand, who: Member) -> None:
        self.waiting.append(self.commanded(command, who))

    def say(self, text: str, who: Member, respond: Respond = "auto", on_busy: OnBusy = None) -> None:
        self.command(MessageCreate(id="c", room="lobby", content=text, respond=respond, on_busy=on_busy), who)

    def running(self) -> str:
        """The response that runs; somebody asks for one if there is none."""
        if not self.state.running:
            self.say("go on", ANN)
            self.commit_all()
        return self.some_response(0) or "resp_gone"

    def produce(self, response_id: str, drafts: list[JsonObject], back: int = 0) -> None:
        """Pieces of a response's newest item, which begins if it has none, or of one before it."""
        begun = bool(self.announced(response_id))
        item_id, index = self.newest(response_id, back)
        placed = [{**draft, "item_id": item_id, "output_index": index} for draft in drafts]
        self.waiting.append(Produced(response_id, placed if begun else [item_added(item_id, index), *placed], 0))

    def commit_all(self, *, unless: bool = False) -> None:
        if not unless:
            self.commit(self.decided(self.waiting))
            self.waiting = []

    def commanded(self, command: RoomCommand, who: Member) -> Commanded:
        self.ids += 1
        return Commanded(command, who, f"msg_{self.ids}", f"resp_{self.ids}")

    def some_response(self, pick: int | None) -> str | None:
        """One of the responses, those that run first; None for none or where there is none."""
        known = [*self.state.running, *self.state.queue, *reversed(self.state.responses)]
        return known[pick % len(known)] if known and pick is not None else None

    def announced(self, response_id: str) -> list[str]:
        """Ids of the items that a response began, committed or not yet, in order."""
        pending = [piece for intent in self.waiting if isinstance(intent, Produced) for piece in intent.drafts]
        begun = [piece for piece in (*self.events, *pending) if piece["type"] == "response.output_item.added"]
        ids = [piece["item"]["id"] for piece in begun if piece["item"]["id"].startswith(f"out_{response_id}_")]
        return list(dict.fromkeys(ids))

    def newest(self, response_id: str, back: int = 0) -> tuple[str, int]:
        """Id and index of the newest item of a response, or of one before it."""
        index = max(0, len(self.announced(response_id)) - 1 - back)
        return f"out_{response_id}_{index}", index

    def spare_what_is_gone(self, viewer: PureReader) -> None:
        """Whoever stands where neither memory nor the log reaches back begins anew."""
        if viewer.cursor.seq < min(self.floor, self.tail.floor):
            viewer.reset(self.state, "expired")

    def decided(self, intents: list[Intent]) -> Batch:
        batch = Batch(self.state, RULEBOOK, self.now_ms, draining=self.draining)
        for intent in intents:
            before = len(batch.events)
            try:
                result = decide(batch, intent)
            except Refusal:
                assert len(batch.events) == before  # a refusal has no effect
                continue
            if result is not None and "seq" in result:
                told = next(event for event in batch.events if event["seq"] == result["seq"])
                assert (told["type"], told["item"]["id"]) == ("item.created", result["item_id"])
        return batch

    def commit(self, batch: Batch) -> None:
        assert batch.base_seq == self.state.seq == len(self.log)
        records = encode_events(batch.events)
        self.log += records
        self.tail.extend(records)
        self.events += [decode_event(record) for record in records]
        self.state = batch.state


TestRoomMachine = RoomMachine.TestCase
TestRoomMachine.settings = settings(stateful_step_count=60, max_examples=max(100, settings().max_examples))
