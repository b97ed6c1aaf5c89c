"""Tests of roomcast/transport/sse.py: a room as Server-Sent Events, over real sockets.

Readers that do not read are in test_sse_stalled.py.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from roomcast.core.errors import StorageUnavailable
from roomcast.core.limits import Limits
from roomcast.core.settings import ServerSettings, Settings
from roomcast.transport.sse import joining
from tests.support.rig import FaultyStore, said
from tests.transport.readers import SseEvent, coverage, events_of, text_of
from tests.transport.serving import Served, eventually, nobody_follows, serving

pytestmark = pytest.mark.anyio

WORDS = [f"w{number} " for number in range(120)]


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """What we serve on; the other loop is tried with stalled readers."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
async def served(anyio_backend: object) -> AsyncIterator[Served]:
    """One server for tests that take a room each; its model says Hello, slowly the second time."""
    slowly = [step for word in WORDS for step in (word, 0.003)]
    async with serving(said("Hel", "lo"), said(*slowly)) as running:
        yield running


async def refusal(
    served: Served, query: str = "", *, room: str = "lobby", **headers: str
) -> tuple[int, str, str | None]:
    got = await served.http.get(f"/v1/rooms/{room}/events{query}", headers=headers)
    error = got.json()["error"]
    return got.status_code, error["code"], error.get("param")


# ---- opening ---------------------------------------------------------------------------------


async def test_a_stream_opens_with_the_state_and_goes_on_from_there(served: Served) -> None:
    await served.say("opened", "before")
    async with served.events("opened", member="ann", items="1") as stream:
        reset = await stream.next()
        told = reset.data
        assert (told["type"], told["reason"], told["seq"], told["head"]) == ("room.reset", "new", 2, 2)
        assert reset.id == f"{told['epoch']}:2"
        assert [item["content"][0]["text"] for item in told["snapshot"]["items"]] == ["before"]
        await served.ask("opened")
        got = await stream.until("response.completed")
    assert coverage(got) == list(range(3, got[-1].data["seq"] + 1))
    assert text_of(got) == "Hello"
    assert all(event.id == f"{told['epoch']}:{event.data['seq']}" for event in events_of(got))


async def test_a_stream_is_told_who_is_there_though_no_reply_says_so(served: Served) -> None:
    async with served.events("present", member="ann", name="Ann") as stream:
        presence = (await stream.until("presence.updated"))[-1]
    assert (presence.id, presence.data["members"]) == (None, [{"id": "ann", "name": "Ann", "role": "owner"}])


async def test_following_an_unknown_room_creates_it(served: Served) -> None:
    async with served.events("fresh") as stream:
        assert (await stream.next()).data["snapshot"]["room"]["name"] == "fresh"
    assert (await served.http.get("/v1/rooms/fresh")).status_code == 200


async def test_head_subscribes_to_nothing_and_creates_nothing(served: Served) -> None:
    got = await served.http.head("/v1/rooms/headed/events")
    assert (got.status_code, got.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert (await served.http.get("/v1/rooms/headed")).status_code == 404


# ---- coming back -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_reader_that_comes_back_gets_exactly_what_follows(served: Served, how: str) -> None:
    room = f"back-{how}"
    async with served.events(room) as stream:
        await stream.next()
        await served.say(room, "seen")
        cursor = (await stream.until("item.created"))[-1].id
    assert cursor is not None
    await nobody_follows(served, room)
    await served.say(room, "while away")
    await served.say(room, "and more")
    headers, query = ({"last-event-id": cursor}, {}) if how == "header" else ({}, {"after": cursor})
    async with served.events(room, headers=headers, **query) as stream:
        got = [await stream.next() for _ in range(2)]
        await served.say(room, "and live again")
        got += await stream.until("item.created")
    assert (got[0].data["type"], coverage(got)) == ("item.created", [3, 4, 5])


async def test_the_cursor_of_the_reader_is_newer_than_that_of_its_address(served: Served) -> None:
    """A browser asks for the address it was given again, and says in a header how far it came."""
    for number in range(3):
        await served.say("newer", str(number))
    epoch = served.hub.room("newer").epoch
    async with served.events("newer", headers={"last-event-id": f"{epoch}:3"}, after=f"{epoch}:1") as stream:
        assert (await stream.next()).data["seq"] == 4


@pytest.mark.parametrize(
    ("cursor", "reason"), [("other:1", "epoch_changed"), ("{epoch}:99", "ahead_of_head"), ("{epoch}:0", "expired")]
)
async def test_a_reader_that_cannot_go_on_is_told_why(served: Served, cursor: str, reason: str) -> None:
    await served.say(reason, "x")
    room = served.hub.room(reason)
    room.floor = 1
    async with served.events(reason, after=cursor.format(epoch=room.epoch)) as stream:
        reset = (await stream.next()).data
    assert (reset["type"], reset["reason"], reset["seq"]) == ("room.reset", reason, 2)


async def test_a_reader_that_is_cut_again_and_again_ends_with_the_whole_text(served: Served) -> None:
    """Coverage is consecutive over all of its streams, with nothing twice."""
    dice, got, done = random.Random(5), list[SseEvent](), False
    await served.say("cut", "first")
    cursor = f"{served.hub.room('cut').epoch}:2"
    while len(served.upstream.requests) < 1:
        await served.ask("warm-up")  # the model's first script is another test's
    await served.ask("cut")
    while not done:
        async with served.events("cut", headers={"last-event-id": cursor}) as stream:
            for _ in range(dice.randint(1, 30)):
                event = await stream.next()
                got.append(event)
                cursor = event.id or cursor
                if done := event.data["type"] == "response.completed":
                    break
    assert coverage(got) == list(range(3, got[-1].data["seq"] + 1))
    assert text_of(got) == "".join(WORDS)


# ---- errors come before the stream -----------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("?items=-1", "invalid_value", "items"),
        ("?items=many", "invalid_type", "items"),
        ("?on_slow=cry", "invalid_value", "on_slow"),
        ("?include=secrets", "invalid_value", "include[0]"),
        ("?after=12", "invalid_value", "after"),
        ("?after=ep:x", "invalid_value", "after"),
        ("?after=", "invalid_value", "after"),
        ("?afer=ep:1", "unknown_field", "afer"),
        ("?items=1&items=2", "invalid_value", "items"),
        ("?member=system", "invalid_value", "member"),
    ],
)
async def test_a_bad_request_is_answered_as_json(served: Served, query: str, code: str, param: str) -> None:
    assert await refusal(served, query, room="bad") == (400, code, param)
    assert (await served.http.get("/v1/rooms/bad")).status_code == 404


async def test_each_other_refusal_has_its_status() -> None:
    settings = Settings(server=ServerSettings(allowed_origins=["https://good.example"]))
    async with serving(settings=settings, limits=Limits(connections=1)) as served:
        assert await refusal(served, "?include=") == (501, "not_supported", "include")
        assert await refusal(served, "?ticket=t") == (401, "unauthenticated", None)
        assert await refusal(served, **{"last-event-id": "junk"}) == (400, "invalid_value", "Last-Event-ID")
        assert await refusal(served, origin="https://evil.example") == (403, "forbidden", "origin")
        assert await refusal(served, **{"sec-fetch-site": "cross-site"}) == (403, "forbidden", "origin")
        async with served.events("lobby", headers={"origin": "https://good.example"}):
            assert await refusal(served) == (503, "unavailable", None)
        await nobody_follows(served)
        assert served.observer.counts["roomcast_handshakes_refused_total unavailable"] == 1
        served.ready = False
        assert await refusal(served) == (503, "draining", None)


async def test_a_store_that_fails_is_told_and_nothing_is_kept() -> None:
    store = FaultyStore()
    async with serving(store=store) as served:
        store.fail_with = StorageUnavailable("gone")
        assert await refusal(served) == (503, "unavailable", None)
        await nobody_follows(served)


def test_a_stream_is_asked_for_as_a_join() -> None:
    command = joining("lobby", "after=ep:7&items=3&on_slow=snapshot&include=reasoning,tools", None)
    assert command.after is not None
    assert (command.after.epoch, command.after.seq, command.items) == ("ep", 7, 3)
    assert (command.on_slow, command.include) == ("snapshot", ["reasoning", "tools"])


# ---- leaving, and being left -----------------------------------------------------------------


async def test_a_reader_that_leaves_gives_everything_back(served: Served) -> None:
    async with served.events("left", member="ann") as stream:
        await stream.next()
        assert (served.subscribers("left"), served.observer.gauges["roomcast_connections"]) == (1, 1)
    await nobody_follows(served, "left")
    assert served.desk.fanout(served.hub.room("left")).presence.count == 0


async def test_a_reader_that_leaves_before_its_turn_gives_everything_back() -> None:
    store = FaultyStore()
    async with serving(store=store) as served:
        store.gate = anyio.Event()
        sock = await served.raw("GET /v1/rooms/lobby/events HTTP/1.1", f"Host: {served.host}", "")
        await eventually(lambda: served.observer.gauges.get("roomcast_connections"))
        sock.close()
        store.gate.set()
        await nobody_follows(served)


async def test_a_silent_stream_shows_that_it_is_there() -> None:
    opened_at = anyio.current_time()
    async with serving(limits=Limits(head_interval_s=0.1)) as served, served.events("lobby", member="ann") as stream:
        await stream.until("presence.updated")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.next)
            await eventually(lambda: stream.comments >= 3)
            tasks.cancel_scope.cancel()
        assert stream.comments <= 1 + (anyio.current_time() - opened_at) / 0.1, "one each time, and no more"


async def test_a_drain_is_told_and_then_the_stream_ends_in_order() -> None:
    async with serving() as served, served.events("lobby") as stream:
        await stream.next()
        served.tell_all("server.draining")
        await served.say("lobby", "last words")
        served.end_all()
        kinds = [event.data["type"] for event in await stream.rest()]
        assert (kinds[-2:], stream.ended) == (["server.draining", "item.created"], True)
        await nobody_follows(served)
        assert (await served.http.get("/livez")).status_code == 200


async def test_a_degraded_store_is_told_to_readers() -> None:
    store, gate = FaultyStore(), anyio.Event()
    async with serving([gate, *said("x")], store=store) as served, served.events("lobby") as stream:
        await served.ask("lobby")
        store.fail_with = StorageUnavailable("gone")
        gate.set()
        assert (await stream.until("room.degraded"))[-1].data["reason"] == "unavailable"
        store.fail_with = None
        await stream.until("response.completed")
