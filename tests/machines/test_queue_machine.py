"""Random lives of one queue: members talk over each other under every policy of the room.

Whatever they do: one response runs at most, each gets one terminal, the line is served in the
order it is shown in, and what the model is told for a response is its own prompts, each once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from roomcast.core.commands import MessageCreate, QueueUpdate, ResponseCancel, RoomCommand
from roomcast.core.conversation import model_input
from roomcast.core.deadlines import ORPHANED
from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.intents import CutShort, Due, Ending, HungUp, Recovered
from roomcast.core.ports import Finish
from roomcast.core.response_state import ENDINGS, Status
from roomcast.core.room_state import RoomState
from roomcast.core.session import Member, Role
from tests.support.pure_room import ANN, BOB, PureRoom
from tests.support.reference import audit_log

MO = Member("mod", "Mo", Role.MODERATOR)
WHO = st.sampled_from([ANN, BOB, MO])
PICK = st.integers(0, 5)
RARELY = st.sampled_from([False, False, False, False, True])
POLICIES = ["enqueue", "reject", "interrupt", "latest", "merge", "debounce"]
POLICY = st.sampled_from([None, None, *["enqueue"] * 6, *POLICIES])
QUEUE_LENGTH = 4


class QueueMachine(RuleBasedStateMachine):
    """One room in which several talk."""

    def __init__(self) -> None:
        super().__init__()
        self.room = PureRoom(queue_length=QUEUE_LENGTH)
        self.texts = 0
        self.told: dict[str, str] = {}
        self.heard = 0

    @initialize(policy=st.sampled_from(POLICIES), who=st.lists(WHO, min_size=2, max_size=QUEUE_LENGTH))
    def somebody_asks_and_others_wait(self, policy: str, who: list[Member]) -> None:
        self.room.rulebook = replace(self.room.rulebook, on_busy=policy)
        self.say(ANN, None, "auto")
        for one in who:
            self.say(one, "enqueue", "auto")

    @rule(talk=st.lists(st.tuples(WHO, POLICY), min_size=2, max_size=4))
    def everybody_talks(self, talk: list[tuple[Member, Any]]) -> None:
        for who, policy in talk:
            self.say(who, policy, "auto")

    @rule(who=WHO, policy=POLICY, respond=st.sampled_from(["auto", "auto", "auto", "never"]))
    def somebody_says_something(self, who: Member, policy: Any, respond: Any) -> None:
        self.say(who, policy, respond)

    @rule(who=WHO, pick=PICK)
    def somebody_cancels(self, who: Member, pick: int) -> None:
        self.send(who, ResponseCancel(id="c", room="lobby", response_id=self.some(pick)))

    @rule(who=WHO, pick=PICK, differently=st.booleans(), position=st.none() | st.integers(1, 5), remove=RARELY)
    def somebody_changes_the_line(
        self, who: Member, pick: int, position: int | None, *, differently: bool, remove: bool
    ) -> None:
        line = list(self.room.state.queue)
        response_id = line[pick] if pick < len(line) else "resp_1"
        change = QueueUpdate(
            id="c",
            room="lobby",
            response_id=response_id,
            content=self.words() if differently else None,
            position=position,
            remove=remove,
        )
        self.send(who, change)
        others = [waiting for waiting in line if self.room.response(waiting).by != who.by() and waiting != response_id]
        if who is not MO:  # nobody else is put back by a member
            order = self.room.state.queue
            assert all(waiting in order and order.index(waiting) <= line.index(waiting) for waiting in others)

    @precondition(lambda self: self.room.state.running)
    @rule(text=st.sampled_from(["", "x"]))
    def the_model_answers(self, text: str) -> None:
        [running] = self.room.state.running
        if not self.room.response(running).placed:
            self.room.answer(running, text)

    @precondition(lambda self: self.room.state.running)
    @rule(ending=st.sampled_from([Finish("completed"), CutShort("time_limit")]))
    def the_model_ends(self, ending: Ending) -> None:
        self.end(ending)

    @precondition(lambda self: self.room.state.deadlines)
    @rule(pick=PICK)
    def it_was_quiet_for_a_while(self, pick: int) -> None:
        named = list(self.room.state.deadlines)
        self.room.decide(Due(named[pick % len(named)]))

    @rule(name=st.sampled_from([*["quiet:resp_1", "quiet:nobody"] * 3, ORPHANED]))
    def a_timer_says_what_is_no_longer_due_or_nobody_watches(self, name: str) -> None:
        before = len(self.room.log)
        self.room.decide(Due(name))
        assert name == ORPHANED or self.room.log[before:] == []

    @rule(saved=st.booleans(), lost=RARELY)
    def the_room_is_loaded_anew_perhaps_by_another_process(self, *, saved: bool, lost: bool) -> None:
        state = RoomState.load(self.room.state.dump()) if saved else self.room.refolded()
        assert state.dump() == self.room.state.dump()
        self.room.state = state
        if lost:
            self.room.decide(Recovered("restart"))

    # -- what always holds ------------------------------------------------------------------------

    @invariant()
    def the_log_obeys_its_rules(self) -> None:
        assert audit_log(self.room.log) == []

    @invariant()
    def nobody_waits_for_nothing_and_nothing_grows(self) -> None:
        state = self.room.state
        assert state.running or not state.queue or state.responses[state.queue[0]].quiet_ms
        assert all(name.removeprefix("quiet:") in state.queue for name in state.deadlines)
        assert len(state.queue) <= QUEUE_LENGTH
        assert all(len(state.responses[waiting].merged) < QUEUE_LENGTH for waiting in state.queue)

    @invariant()
    def whoever_starts_is_told_exactly_its_own_prompts(self) -> None:
        """Checked where the scheduler asks: on the state that stands behind the start."""
        for event in self.room.log[self.heard :]:
            if event["type"] == "response.in_progress":
                self.check_told(event["response_id"])
        self.heard = len(self.room.log)

    def check_told(self, response_id: str) -> None:
        response, state = self.room.response(response_id), self.room.state
        said = [text(item) for item in model_input(state, response.prompt_id, response.merged)]
        own = [text(state.items[question].body()) for question in response.questions]
        assert said[-len(own) :] == [*sorted(own[:-1]), own[-1]], "in the order they were said, and its own last"
        assert len(set(said)) == len(said), "nothing twice"
        waiting = {question for queued in state.queue for question in state.responses[queued].questions}
        assert waiting.isdisjoint(response.questions)
        assert {text(state.items[item_id].body()) for item_id in waiting}.isdisjoint(said)
        for question in response.questions:
            assert self.told.setdefault(question, response_id) == response_id, "answered by one response only"

    def teardown(self) -> None:
        """All answers end, and the line is served as it was shown, to the last."""
        if not self.room.log:
            return
        shown = list(self.room.state.queue)
        self.room.decide(*map(Due, self.room.state.deadlines))
        while self.room.state.running:
            self.end(Finish("completed"))
        started = [event["response_id"] for event in self.room.log if event["type"] == "response.in_progress"]
        assert started[len(started) - len(shown) :] == shown
        assert audit_log(self.room.log, at_rest=True) == []
        assert all(response.status in ENDINGS for response in self.room.state.responses.values())
        messages = [event["item"]["id"] for event in self.room.log if event["type"] == "item.created"]
        assert set(messages) <= self.room.state.items.keys(), "every message is kept"

    # -- how ----------------------------------------------------------------------------------------

    def say(self, who: Member, policy: Any, respond: Any) -> None:
        self.send(who, MessageCreate(id="c", room="lobby", content=self.words(), respond=respond, on_busy=policy))

    def words(self) -> str:
        """What nobody has said yet; sorts by when it was said."""
        self.texts += 1
        return f"prompt {self.texts:04}"

    def send(self, who: Member, command: RoomCommand) -> None:
        before = self.room.state.dump()
        try:
            self.room.command(command, who)
        except Refusal:
            assert self.room.state.dump() == before

    def some(self, pick: int) -> str | None:
        known = [*self.room.state.running, *self.room.state.queue, *reversed(self.room.state.responses)]
        return known[pick] if pick < len(known) else None

    def end(self, ending: Ending) -> None:
        [running] = self.room.state.running
        stopping = self.room.response(running).status is Status.CANCELLING
        self.room.end(running, HungUp(1) if stopping else ending)


def text(item: JsonObject) -> str:
    said: str = item["content"][0]["text"] if item["content"] else ""
    return said if item["role"] == "user" else f"{said} {id(item)}"


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(stateful_step_count=40)
