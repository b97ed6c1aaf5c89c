"""Tests of web/roomcast.js, the browser client, against sockets that a script drives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page

from tests.web.scripted_server import ScriptedServer, event, scripted_server

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

OPEN = """
async ({ url, options }) => {
  const { Room } = await import("/roomcast.js");
  globalThis.heard = { seqs: [], resets: [], signals: [], states: [], replies: [] };
  let tokens = 0;
  if (options.token === "ask") options = { ...options, token: async () => `token-${(tokens += 1)}` };
  globalThis.room = new Room({ room: "lobby", member: "m_ada", name: "Ada", url, ...options });
  room.on("event", ({ seq }) => heard.seqs.push(seq));
  room.on("reset", ({ reason, seq }) => heard.resets.push([reason, seq]));
  room.on("signal", ({ type }) => heard.signals.push(type));
  room.on("status", ({ state }) => heard.states.push(state));
  const reply = (value) => heard.replies.push(value);
  globalThis.say = (text) => room.say(text).then(reply, (error) => reply(error.code));
  room.connect();
}
"""


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as serving:
        yield serving


async def enter(page: Page, server: ScriptedServer, **options: Any) -> None:
    await page.evaluate(OPEN, {"url": server.url, "options": options})


async def heard(page: Page, name: str, count: int) -> Any:
    """Wait until `count` things of a kind were heard; gives all of them."""
    await page.evaluate(
        """async ([name, count]) => {
          const until = performance.now() + 60_000;
          while (heard[name].length < count && performance.now() < until) {
            await new Promise((next) => setTimeout(next, 5));
          }
        }""",
        [name, count],
    )
    return await page.evaluate("(name) => heard[name]", name)


async def test_it_introduces_itself_and_joins(page: Page, server: ScriptedServer) -> None:
    await enter(page, server, items=20)
    caller = await server.caller()
    join = await caller.admit(seq=7)
    assert (caller.subprotocol, caller.path) == ("roomcast.v1", "/v1/ws?member=m_ada&name=Ada")
    assert {name: join[name] for name in join if name != "id"} == {"type": "room.join", "room": "lobby", "items": 20}
    assert await heard(page, "resets", 1) == [["new", 7]]
    assert await heard(page, "states", 1) == ["live"]


async def test_each_seq_is_heard_once_and_in_order(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit(seq=3)
    await caller.tell(event(3), event(4), event(4), event(5), event(2), event(9, seq_from=6), event(7), event(10))
    assert await heard(page, "seqs", 4) == [4, 5, 9, 10]


async def test_a_hole_makes_it_ask_for_what_follows_its_cursor(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit(seq=3)
    await caller.tell(event(4), event(6))
    join = await caller.hear("room.join")
    assert join["after"] == {"epoch": "e1", "seq": 4}
    await caller.tell(event(7))  # still of the subscription that is being left
    await caller.answer(join, {"epoch": "e1", "seq": 4, "head": 7, "resumed": True, "members": [], "you": {}})
    await caller.tell(event(5), event(6), event(7))
    assert await heard(page, "seqs", 4) == [4, 5, 6, 7]


async def test_events_of_other_rooms_are_not_heard(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit(seq=0)
    await caller.tell(event(1, room="elsewhere"), event(1), event(2, room="elsewhere"), event(2))
    assert await heard(page, "seqs", 2) == [1, 2]


async def test_a_reset_replaces_everything_and_the_log_goes_on_from_there(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit(seq=3)
    reset = {"type": "room.reset", "room": "lobby", "reason": "lagging", "epoch": "e2", "seq": 50, "head": 51}
    await caller.tell(event(4), {**reset, "snapshot": {}}, event(4), event(51))
    assert await heard(page, "seqs", 2) == [4, 51]
    assert await heard(page, "resets", 2) == [["new", 3], ["lagging", 50]]
    assert await page.evaluate("() => room.cursor") == {"epoch": "e2", "seq": 51}


async def test_it_says_when_it_is_catching_up(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit(seq=3, head=5)
    await caller.tell(event(4), event(5))
    assert await heard(page, "states", 2) == ["replaying", "live"]


async def test_the_head_reveals_a_lost_tail(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit(seq=3)
    await caller.tell({"type": "room.head", "room": "lobby", "epoch": "e1", "seq": 5})
    join = await caller.hear("room.join")
    assert join["after"] == {"epoch": "e1", "seq": 3}


async def test_a_head_that_covers_what_is_not_shown_is_believed_in_the_end(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit(seq=3)
    head = {"type": "room.head", "room": "lobby", "epoch": "e1", "seq": 5}
    await caller.tell(head)
    await caller.admit(seq=3, resumed=True)
    await caller.tell(head, event(6))
    assert await heard(page, "seqs", 1) == [6]


async def test_it_comes_back_with_its_cursor(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    first = await server.caller()
    await first.admit(seq=3)
    await first.tell(event(4))
    await heard(page, "seqs", 1)
    first.cut()
    second = await server.caller()
    join = await second.admit(seq=4, head=5, resumed=True)
    await second.tell(event(5))
    assert join["after"] == {"epoch": "e1", "seq": 4}
    assert await heard(page, "seqs", 2) == [4, 5]
    assert await heard(page, "resets", 1) == [["new", 3]]
    assert (await heard(page, "states", 4))[1:] == ["reconnecting", "reconnecting", "replaying", "live"]


async def test_a_command_without_an_answer_is_sent_again_under_the_same_id(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    first = await server.caller()
    await first.admit(seq=3)
    await page.evaluate("() => void say('hello')")
    lost = await first.hear("message.create")
    first.cut()
    second = await server.caller()
    await second.admit(seq=3, resumed=True)
    again = await second.hear("message.create")
    await second.answer(again, {"item_id": "item_1"})
    assert again == lost
    assert await heard(page, "replies", 1) == [{"item_id": "item_1"}]


async def test_a_command_that_was_answered_is_not_sent_again(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    first = await server.caller()
    await first.admit(seq=3)
    await page.evaluate("() => void say('one')")
    await first.answer(await first.hear("message.create"), {"item_id": "item_1"})
    await heard(page, "replies", 1)
    first.cut()
    second = await server.caller()
    await second.admit(seq=3, resumed=True)
    await page.evaluate("() => void say('two')")
    assert (await second.hear("message.create"))["content"] == "two"


async def test_a_refusal_reaches_who_asked(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit()
    await page.evaluate("() => void say('hello')")
    await caller.refuse(await caller.hear("message.create"), "queue_full")
    assert await heard(page, "replies", 1) == ["queue_full"]


async def test_what_is_too_long_is_not_even_sent(page: Page, server: ScriptedServer) -> None:
    """The server would close the connection (1009), and the client would come back and try again for ever."""
    await enter(page, server)
    caller = await server.caller()
    await caller.admit()
    await page.evaluate("() => void say('ä'.repeat(33_000))")
    assert await heard(page, "replies", 1) == ["too_large"]


@pytest.mark.parametrize("code", [4400, 4403])
async def test_it_does_not_come_back_where_it_is_not_wanted(page: Page, server: ScriptedServer, code: int) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit()
    await page.evaluate("() => void say('hello')")
    await caller.hear("message.create")
    await caller.close(code)
    assert (await heard(page, "states", 2))[-1] == "closed"
    assert await heard(page, "replies", 1) == ["closed"]
    assert await server.nobody(within_s=1.5)


async def test_an_expired_token_is_replaced(page: Page, server: ScriptedServer) -> None:
    await enter(page, server, token="ask")
    first = await server.caller()
    assert (await first.hear("session.authenticate"))["token"] == "token-1"
    await first.admit()
    await first.close(4401)
    second = await server.caller()
    assert (await second.hear("session.authenticate"))["token"] == "token-2"


async def test_without_a_token_it_does_not_knock_again(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.close(4401)
    assert await heard(page, "states", 1) == ["closed"]
    assert await server.nobody(within_s=1.5)


async def test_a_server_that_drains_is_given_its_time(page: Page, server: ScriptedServer) -> None:
    await enter(page, server)
    caller = await server.caller()
    await caller.admit()
    await caller.tell({"type": "server.draining", "retry_after_ms": 60_000})
    await heard(page, "signals", 1)
    await caller.close(1012)
    await heard(page, "states", 2)
    assert await page.evaluate("() => room.status.retryAt - Date.now()") > 30_000


async def test_waiting_times_are_spread_and_bounded(page: Page) -> None:
    drawn = await page.evaluate(
        """async () => {
          const { backoffMs } = await import("/roomcast.js");
          const bound = (attempt) => backoffMs(attempt, () => 0.999999);
          return { none: backoffMs(5, () => 0), bounds: [0, 1, 2, 3, 20, 5_000].map(bound) };
        }"""
    )
    assert drawn == {"none": 0, "bounds": [500, 1000, 2000, 4000, 20000, 20000]}
