"""Tests of roomcast/client/session.py: what happens between one connection and the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from roomcast.client import Backoff, NotAllowed, Refused, Room, RoomClosed, Status, Unreachable, connect
from roomcast.client.comeback import Loss
from roomcast.client.session import Credentials
from tests.client.scripted import QUICK, Peer, Script, delta, scripted

pytestmark = pytest.mark.anyio


async def texts(room: Room, count: int) -> list[str]:
    """The next `count` events, by their text or type."""
    events = [await anext(room) for _ in range(count)]
    return [event.delta or event.type for event in events]


async def test_a_lost_connection_is_resumed_from_where_the_client_stands() -> None:
    joins = list[Any]()

    async def breaks(peer: Peer) -> None:
        await peer.joined()
        await peer.say(delta(1, "a"), delta(2, "b"))
        await peer.close(1011)

    async def goes_on(peer: Peer) -> None:
        joins.append((await peer.joined(2))["after"])
        await peer.say(delta(3, "c"))
        await peer.gone()

    async with scripted(breaks, goes_on) as server, connect(server.url, backoff=QUICK) as room:
        assert await texts(room, 3) == ["a", "b", "c"]
    assert joins == [{"epoch": "e1", "seq": 2}]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4408, 4429, None])
async def test_losses_that_may_pass_are_come_back_from(code: int | None) -> None:
    async def leaves(peer: Peer) -> None:
        await peer.joined()
        await peer.close(code) if code else peer.cut()

    async def goes_on(peer: Peer) -> None:
        await peer.joined()
        await peer.say(delta(1, "a"))
        await peer.gone()

    async with scripted(leaves, goes_on) as server, connect(server.url, backoff=QUICK) as room:
        assert await texts(room, 1) == ["a"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(4400, RoomClosed), (4403, NotAllowed), (1003, RoomClosed), (1007, RoomClosed), (1009, RoomClosed)],
)
async def test_losses_that_would_repeat_end_the_room_with_the_reason(code: int, kind: type[RoomClosed]) -> None:
    async def ends(peer: Peer) -> None:
        await peer.joined()
        await peer.say(delta(1, "a"))
        await peer.close(code, "enough")

    async with scripted(ends) as server, connect(server.url, backoff=QUICK) as room:
        assert await texts(room, 1) == ["a"]
        with pytest.raises(kind, match="enough") as caught:
            await anext(room)
        assert caught.value.close_code == code
        assert room.status is Status.CLOSED
        with pytest.raises(RoomClosed):
            await room.send("too late")


async def test_who_waits_for_a_reply_is_told_of_the_end() -> None:
    async def ends(peer: Peer) -> None:
        await peer.joined()
        await peer.receive()
        await peer.close(4403, "out")

    async with scripted(ends) as server, connect(server.url, backoff=QUICK) as room:
        with pytest.raises(NotAllowed, match="out"):
            await room.ask("hello")


async def test_who_waits_for_an_answer_is_told_of_the_end() -> None:
    async def ends(peer: Peer) -> None:
        await peer.joined()
        await waiting.wait()
        await peer.close(4403, "out")

    waiting = anyio.Event()
    async with (
        scripted(ends) as server,
        connect(server.url, backoff=QUICK) as room,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_set_when_blocked, waiting)
        with pytest.raises(NotAllowed, match="out"):
            await room.wait("resp_1")


async def _set_when_blocked(event: anyio.Event) -> None:
    await anyio.wait_all_tasks_blocked()
    event.set()


async def test_a_join_that_is_not_answered_is_tried_on_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast.client.session.JOIN_TIMEOUT_S", 0.05)

    async def mute(peer: Peer) -> None:
        await peer.receive()
        monkeypatch.setattr("roomcast.client.session.JOIN_TIMEOUT_S", 60.0)  # for the next connection
        await peer.gone()

    async def answers(peer: Peer) -> None:
        await peer.joined(7)
        await peer.gone()

    async with scripted(mute, answers) as server, connect(server.url, backoff=QUICK, wait_s=10) as room:
        assert room.cursor.seq == 7


@pytest.mark.parametrize(("status", "kind"), [(401, NotAllowed), (403, NotAllowed), (404, RoomClosed)])
async def test_a_refused_handshake_is_a_clear_exception(status: int, kind: type[RoomClosed]) -> None:
    async with scripted(status) as server:
        with pytest.raises(kind, match=str(status)) as caught:
            async with connect(server.url, backoff=QUICK):
                pass
    assert caught.value.status == status


async def test_a_refused_join_is_a_clear_exception_with_the_refusal_as_its_cause() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.refuse(await peer.receive(), "room_not_found", "there is no such room")
        await peer.gone()

    async with scripted(refuses) as server:
        with pytest.raises(RoomClosed, match="there is no such room") as caught:
            async with connect(server.url, backoff=QUICK):
                pass
    assert isinstance(caught.value.__cause__, Refused)


async def test_a_first_connection_that_fails_is_not_tried_again_unless_told_to() -> None:
    async with scripted(503) as server:
        with pytest.raises(Unreachable, match="503"):
            async with connect(server.url, backoff=QUICK):
                pass


async def test_a_first_connection_is_tried_as_long_as_told() -> None:
    async def opens(peer: Peer) -> None:
        await peer.joined(7)
        await peer.gone()

    async def drains(peer: Peer) -> None:
        await peer.refuse(await peer.receive(), "draining", retryable=True, retry_after_ms=10)
        await peer.gone()

    async with scripted(503, 502, drains, opens) as server, connect(server.url, backoff=QUICK, wait_s=10) as room:
        assert room.cursor.seq == 7


async def test_a_token_goes_as_a_header_and_no_identity_beside_it() -> None:
    paths = list[str]()

    async def looks(peer: Peer) -> None:
        paths.extend([peer.path, peer.headers["Authorization"]])
        await peer.joined()
        await peer.gone()

    async with scripted(looks) as server, connect(server.url, token="t0", name="Ada"):
        pass
    assert paths == ["/v1/ws?name=Ada", "Bearer t0"]


async def test_a_made_up_identity_survives_the_connection() -> None:
    """Commands are known by member and id, so a re-sent one must come from the same member."""
    paths = list[str]()

    def looks(then: Callable[[Peer], Any]) -> Script:
        async def script(peer: Peer) -> None:
            paths.append(peer.path)
            await peer.joined()
            await then(peer)

        return script

    scripts = looks(lambda peer: peer.close(1011)), looks(lambda peer: peer.say(delta(1, "a")))
    async with scripted(*scripts) as server, connect(server.url, backoff=QUICK) as room:
        await anext(room)
    assert paths[0].startswith("/v1/ws?member=py_")
    assert paths[0] == paths[1]


async def test_an_expired_token_is_replaced_by_the_next_of_its_source() -> None:
    seen, made = list[str](), iter(["t1", "t2"])

    async def expires(peer: Peer) -> None:
        seen.append(peer.headers["Authorization"])
        await peer.joined()
        await peer.close(4401, "expired")

    async def goes_on(peer: Peer) -> None:
        seen.append(peer.headers["Authorization"])
        await peer.joined()
        await peer.say(delta(1, "a"))
        await peer.gone()

    async def token() -> str:
        return next(made)

    async with scripted(expires, goes_on) as server, connect(server.url, token=token, backoff=QUICK) as room:
        assert await texts(room, 1) == ["a"]
    assert seen == ["Bearer t1", "Bearer t2"]


async def test_an_expired_token_without_a_source_ends_the_room() -> None:
    async def expires(peer: Peer) -> None:
        await peer.joined()
        await peer.close(4401, "expired")

    async with scripted(expires) as server, connect(server.url, token="t0", backoff=QUICK) as room:
        with pytest.raises(NotAllowed, match="expired"):
            await anext(room)


async def test_a_source_whose_new_token_is_refused_too_is_not_asked_for_ever() -> None:
    async with scripted(401, 401) as server:
        with pytest.raises(NotAllowed, match="401"):
            async with connect(server.url, token=lambda: "t", backoff=QUICK, wait_s=10):
                pass


async def test_a_source_of_tokens_that_fails_is_told_with_its_error() -> None:
    def broken() -> str:
        raise KeyError("vault")

    async with scripted() as server:
        with pytest.raises(Unreachable, match="vault") as caught:
            async with connect(server.url, token=broken):
                pass
    assert isinstance(caught.value.__cause__, KeyError)


async def test_a_token_that_is_about_to_expire_is_renewed_on_the_open_connection() -> None:
    renewed, made = list[Any](), iter(["t1", "t2"])

    async def warns(peer: Peer) -> None:
        await peer.joined()
        await peer.say({"type": "session.expiring", "in_s": 5})
        command = await peer.receive()
        renewed.append((command["type"], command["token"], "room" in command))
        await peer.reply(command, member={}, expires_at=0)
        await peer.say(delta(1, "a"))
        await peer.gone()

    async with scripted(warns) as server, connect(server.url, token=lambda: next(made)) as room:
        assert await texts(room, 2) == ["session.expiring", "a"]
    assert renewed == [("session.authenticate", "t2", False)]


async def test_a_draining_server_is_given_the_time_it_asked_for() -> None:
    left, back = list[float](), list[float]()

    async def drains(peer: Peer) -> None:
        await peer.joined()
        await peer.say({"type": "server.draining", "retry_after_ms": 300})
        left.append(anyio.current_time())
        await peer.close(1012)

    async def goes_on(peer: Peer) -> None:
        back.append(anyio.current_time())
        await peer.joined()
        await peer.say(delta(1, "a"))
        await peer.gone()

    async with scripted(drains, goes_on) as server, connect(server.url, backoff=QUICK) as room:
        assert await texts(room, 2) == ["server.draining", "a"]
    assert back[0] - left[0] >= 0.3


async def test_delays_grow_with_attempts_in_vain_and_start_again_after_a_good_one() -> None:
    attempts = list[int]()

    class Counting(Backoff):
        def delay_s(self, attempt: int, roll: float, loss: Loss) -> float:
            attempts.append(attempt)
            return 0.0

    async def barren(peer: Peer) -> None:
        await peer.joined()
        peer.cut()

    async def fruitful(peer: Peer) -> None:
        await peer.joined()
        await peer.say(delta(1, "a"))
        await peer.close(1011)

    async def goes_on(peer: Peer) -> None:
        await peer.joined(1)
        await peer.say(delta(2, "b"))
        await peer.gone()

    async with scripted(barren, 503, fruitful, goes_on) as server, connect(server.url, backoff=Counting()) as room:
        assert await texts(room, 2) == ["a", "b"]
    assert attempts == [0, 1, 0]


async def test_the_status_tells_where_the_room_stands() -> None:
    told = list[str]()

    async def breaks(peer: Peer) -> None:
        await peer.joined()
        await peer.close(1011)

    async def replays(peer: Peer) -> None:
        await peer.joined(head=2)
        await peer.say(delta(1, "a"), delta(2, "b"))
        await peer.gone()

    async with scripted(breaks, replays) as server, connect(server.url, backoff=QUICK, on_status=told.append) as room:
        await texts(room, 2)
    assert told == ["live", "reconnecting", "replaying", "live"]


async def test_a_token_may_be_a_string_or_made_by_a_function_of_either_kind() -> None:
    async def later() -> str:
        return "c"

    made = [await Credentials(token=token).bearer() for token in (None, "a", lambda: "b", later)]
    assert made == [None, "a", "b", "c"]
