"""Tests of roomcast/transport/http.py: commands, reading, and what operators ask. Real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import httpx2
import pytest

from roomcast.core.errors import HTTP_STATUS, StorageUnavailable
from roomcast.core.limits import Limits
from roomcast.core.session import Role
from roomcast.core.settings import AuthSettings, Secret, ServerSettings, Settings, StaticToken
from tests.support.rig import FaultyStore, said
from tests.transport.serving import Served, new_id, serving

pytestmark = pytest.mark.anyio

ANN, BOB = "ann-token-0123456789", "bob-token-0123456789"
TOKENS = AuthSettings(
    mode="token",
    tokens=(
        StaticToken(token=Secret(ANN), member="ann", name="Ann", role=Role.OWNER),
        StaticToken(token=Secret(BOB), member="bob", name="Bob", role=Role.VIEWER),
    ),
)


@pytest.fixture(scope="module")
async def served(anyio_backend: str) -> AsyncIterator[Served]:
    async with serving(said("Hel", "lo")) as running:
        yield running


async def post(served: Served, room: str, body: Any = None, **request: Any) -> httpx2.Response:
    """Post a command, or whatever `content` is, to a room."""
    if body is not None:
        request["json"] = body
    return await served.http.post(f"/v1/rooms/{room}/commands", **request)


def refusal(answer: httpx2.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    assert {"code", "message", "retryable"} <= error.keys()
    return answer.status_code, error["code"], error.get("param")


# ---- commands --------------------------------------------------------------------------------


async def test_a_command_is_answered_with_its_reply(served: Served) -> None:
    got = await post(served, "lobby", {"type": "message.create", "id": "c1", "content": "hi", "respond": "never"})
    body = got.json()
    assert (got.status_code, body["type"], body["id"], body["ok"], body["result"]["seq"]) == (
        200,
        "reply",
        "c1",
        True,
        2,
    )


async def test_the_room_may_stand_in_the_body_too_but_no_other(served: Served) -> None:
    body = {"type": "message.create", "id": "c1", "room": "same", "content": "hi", "respond": "never"}
    assert (await post(served, "same", body)).status_code == 200
    assert refusal(await post(served, "other", body)) == (400, "invalid_value", "room")


async def test_a_copy_of_a_command_gets_the_same_reply_and_another_body_is_refused(served: Served) -> None:
    body = {"type": "message.create", "id": new_id("cmd"), "content": "hi", "respond": "never"}
    first, copy = [await post(served, "copies", body, params={"member": "ann"}) for _ in range(2)]
    assert first.json() == copy.json()
    other = await post(served, "copies", {**body, "content": "ho"}, params={"member": "ann"})
    assert refusal(other) == (409, "command_id_reused", "id")


async def test_a_refused_command_has_the_status_of_its_code_and_its_id(served: Served) -> None:
    got = await post(served, "quiet", {"type": "response.cancel", "id": "c1"})
    assert refusal(got) == (404, "room_not_found", "room")
    assert (got.json()["type"], got.json()["id"], got.json()["ok"]) == ("reply", "c1", False)


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"type": "message.create", "content": "x"}, 400, "missing_field", "id"),
        ({"type": "message.create", "id": "a b", "content": "x"}, 400, "invalid_value", "id"),
        ({"type": "message.create", "id": 1, "content": "x"}, 400, "invalid_value", "id"),
        ({"type": "message.create", "id": "c"}, 400, "missing_field", "content"),
        ({"type": "message.create", "id": "c", "content": 1}, 400, "invalid_type", "content"),
        ({"type": "message.create", "id": "c", "content": "x", "modle": 1}, 400, "unknown_field", "modle"),
        ({"type": "message.destroy", "id": "c"}, 400, "unknown_command", "type"),
        ({"type": 1, "id": "c"}, 400, "invalid_type", "type"),
        ({"id": "c"}, 400, "missing_field", "type"),
        ({"type": "room.leave", "id": "c"}, 409, "not_joined", "room"),
        ({"type": "presence.update", "id": "c", "state": {}}, 409, "not_joined", "room"),
        ({"type": "session.ping", "id": "c"}, 409, "not_joined", "type"),
        ({"type": "session.authenticate", "id": "c", "token": "t"}, 409, "not_joined", "type"),
        ({"type": "session.ping", "id": "c", "room": "lobby"}, 400, "unknown_field", "room"),
        ({"type": "item.retract", "id": "c", "item_id": "i"}, 501, "not_supported", "type"),
        ({"type": "room.join", "id": "c", "include": []}, 501, "not_supported", "include"),
    ],
)
async def test_what_is_wrong_is_named(served: Served, body: Any, status: int, code: str, param: str) -> None:
    got = await post(served, "lobby", body)
    assert refusal(got) == (status, code, param)
    assert status == HTTP_STATUS[code]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"[" * 9_999,
    ],
)
async def test_i1_what_is_no_json_object_is_refused_without_an_id(served: Served, content: bytes) -> None:
    got = await post(served, "lobby", content=content, headers={"content-type": "application/json"})
    assert refusal(got)[:2] == (400, "invalid_json")
    assert got.json()["type"] == "error"


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"]
)
async def test_only_json_is_taken_for_a_command(served: Served, kind: str | None) -> None:
    """The other kinds a foreign page may send without asking first."""
    got = await post(
        served, "lobby", content=b'{"type":"session.ping","id":"c"}', headers={"content-type": kind} if kind else {}
    )
    assert refusal(got) == (400, "invalid_value", "content-type")


async def test_json_may_name_its_encoding(served: Served) -> None:
    got = await post(
        served,
        "lobby",
        content=b'{"type":"message.create","id":"c","content":"x","respond":"never"}',
        headers={"content-type": "Application/JSON; charset=utf-8"},
    )
    assert got.status_code == 200


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_refused_before_it_is_read(served: Served, declared: bool) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 50_000_000:
            read += 65_536
            yield b" " * 65_536

    headers = {"content-type": "application/json"} | ({"content-length": "50003968"} if declared else {})
    with suppress(httpx2.NetworkError):  # the connection may be gone before the client looks for its answer
        assert refusal(await post(served, "lobby", content=chunks(), headers=headers)) == (413, "too_large", None)
    assert read < 10_000_000


@pytest.mark.parametrize("room", ["-x", "a b", "a%00", "%E2%80%AEx", "a*", "x" * 129, "a'--", "%7Btag%7D", "%0Ax"])
async def test_i5_a_room_that_cannot_be_one_is_refused(served: Served, room: str) -> None:
    got = await post(served, room, {"type": "message.create", "id": "c", "content": "x"})
    assert refusal(got) == (400, "invalid_value", "room")
    assert refusal(await served.http.get(f"/v1/rooms/{room}")) == (400, "invalid_value", "room")
    assert refusal(await served.http.get(f"/v1/rooms/{room}/items")) == (400, "invalid_value", "room")
    assert refusal(await served.http.get(f"/v1/rooms/{room}/events")) == (400, "invalid_value", "room")


@pytest.mark.parametrize("room", ["../../etc", "a%2Fb", ".."])
async def test_i5_a_room_that_is_a_path_is_nothing(served: Served, room: str) -> None:
    assert (await post(served, room, {"type": "message.create", "id": "c", "content": "x"})).status_code in {400, 404}
    assert room not in (await served.http.get("/v1/rooms?limit=500")).text


async def test_joining_by_request_tells_the_state_and_subscribes_to_nothing(served: Served) -> None:
    await served.say("looked", "hi")
    got = await post(served, "looked", {"type": "room.join", "id": "j"}, params={"member": "ann"})
    result = got.json()["result"]
    assert (result["resumed"], result["reset"], result["seq"], result["you"]["id"]) == (False, "new", 2, "ann")
    assert [item["content"][0]["text"] for item in result["snapshot"]["items"]] == ["hi"]
    assert (served.subscribers("looked"), result["member_count"]) == (0, 0)


async def test_a_command_waits_for_its_commit_and_a_store_that_fails_is_told() -> None:
    store = FaultyStore()
    async with serving(store=store) as served:
        store.fail_with = StorageUnavailable("gone")
        got = await post(served, "lobby", {"type": "message.create", "id": "c", "content": "x"})
        assert refusal(got) == (503, "unavailable", None)
        assert (got.headers["retry-after"], got.json()["error"]["retryable"]) == ("1", True)
        store.fail_with = None
        assert (await served.say("lobby", "again"))["seq"] == 2


async def test_an_address_that_asks_too_fast_is_told_when_to_come_back() -> None:
    limits = Limits(handshakes_per_address_per_s=0.01, handshakes_per_address_burst=2)
    async with serving(limits=limits) as served:
        body = {"type": "message.create", "content": "x", "respond": "never"}
        codes = [(await post(served, "lobby", {**body, "id": f"c{n}"})).status_code for n in range(3)]
        assert codes == [200, 200, 429]


async def test_an_answer_to_a_prompt_comes_before_the_model_has_said_anything() -> None:
    gate = anyio.Event()
    async with serving([gate, *said("x")]) as served:
        assert (await served.ask("lobby"))["status"] == "in_progress"
        gate.set()


# ---- reading ---------------------------------------------------------------------------------


async def test_rooms_are_listed_by_name_in_pages() -> None:
    gate = anyio.Event()
    async with serving([gate, *said("x")]) as served:
        for room in ("b", "a", "c"):
            await served.say(room, "hi")
        await served.ask("c")
        async with served.events("b", member="ann"):
            first = (await served.http.get("/v1/rooms?limit=2")).json()
            rest = (await served.http.get("/v1/rooms?limit=2&after=b")).json()
        assert ([room["name"] for room in first["rooms"]], first["has_more"]) == (["a", "b"], True)
        assert [(room["name"], room["running"]) for room in rest["rooms"]] == [("c", True)]
        assert (rest["has_more"], [room["member_count"] for room in first["rooms"]]) == (False, [0, 1])
        assert first["rooms"][0].keys() == {"name", "title", "epoch", "seq", "running", "member_count"}
        gate.set()


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("limit=0", "invalid_value", "limit"),
        ("limit=501", "invalid_value", "limit"),
        ("limit=ten", "invalid_type", "limit"),
        ("after=../x", "invalid_value", "after"),
        ("befor=x", "unknown_field", "befor"),
    ],
)
async def test_a_list_of_rooms_is_asked_for_strictly(served: Served, query: str, code: str, param: str) -> None:
    assert refusal(await served.http.get(f"/v1/rooms?{query}")) == (400, code, param)


async def test_a_room_is_told_as_it_stands(served: Served) -> None:
    await served.say("told", "one")
    await served.say("told", "two")
    got = (await served.http.get("/v1/rooms/told?items=1")).json()
    assert got.keys() == {"epoch", "seq", "snapshot", "member_count"}
    assert (got["seq"], got["member_count"], got["snapshot"]["has_more"]) == (3, 0, True)
    assert [item["content"][0]["text"] for item in got["snapshot"]["items"]] == ["two"]


@pytest.mark.parametrize("path", ["", "/items"])
async def test_looking_creates_no_room(served: Served, path: str) -> None:
    for _ in range(2):
        assert refusal(await served.http.get(f"/v1/rooms/nowhere{path}")) == (404, "room_not_found", "room")
    assert "nowhere" not in [room.name for room in served.hub.loaded]


@pytest.mark.parametrize(
    ("path", "code", "param"),
    [
        ("told?items=-1", "invalid_value", "items"),
        ("told?items=x", "invalid_type", "items"),
        ("told/items?limit=0", "invalid_value", "limit"),
        ("told/items?limit=x", "invalid_type", "limit"),
        ("told/items?before=none", "item_not_found", "before"),
        ("told/items?after=x", "unknown_field", "after"),
    ],
)
async def test_reading_is_asked_for_strictly(served: Served, path: str, code: str, param: str) -> None:
    await served.say("told", "x")
    assert refusal(await served.http.get(f"/v1/rooms/{path}")) == (HTTP_STATUS[code], code, param)


async def test_history_is_read_in_pages_newest_first(served: Served) -> None:
    for text in ("one", "two", "three"):
        await served.say("pages", text)
    first = (await served.http.get("/v1/rooms/pages/items?limit=2")).json()
    rest = (await served.http.get(f"/v1/rooms/pages/items?before={first['items'][-1]['id']}")).json()
    texts = [[item["content"][0]["text"] for item in page["items"]] for page in (first, rest)]
    assert (texts, first["has_more"], rest["has_more"]) == ([["three", "two"], ["one"]], True, False)


# ---- operators, and what is not there --------------------------------------------------------


async def test_a_live_server_is_not_ready_while_it_drains() -> None:
    async with serving() as served:
        assert ((await served.http.get("/livez")).json(), (await served.http.get("/readyz")).status_code) == (
            {"status": "ok"},
            200,
        )
        served.ready = False
        assert ((await served.http.get("/livez")).status_code, (await served.http.get("/readyz")).status_code) == (
            200,
            503,
        )


async def test_metrics_are_rendered(served: Served) -> None:
    got = await served.http.get("/metrics")
    assert (got.status_code, got.text) == (200, "roomcast_up 1\n")
    assert got.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.parametrize(
    "path", ["/v1/rooms/x/search", "/v1/rooms/x/export", "/dashboard", "/openapi.json", "/asyncapi.json"]
)
async def test_what_is_documented_for_later_says_so(served: Served, path: str) -> None:
    assert refusal(await served.http.get(path))[:2] == (501, "not_supported")


async def test_tickets_come_later(served: Served) -> None:
    assert refusal(await served.http.post("/v1/tickets"))[:2] == (501, "not_supported")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/v1/rooms/", 404),
        ("POST", "/v1/rooms", 405),
        ("GET", "/v1/rooms/x/commands", 405),
        ("DELETE", "/v1/rooms/x", 405),
        ("OPTIONS", "/v1/rooms", 405),
        ("POST", "/v1/ws", 405),
        ("GET", "/v1/ws", 426),
    ],
)
async def test_w9_other_paths_and_methods_are_refused_as_json(
    served: Served, method: str, path: str, status: int
) -> None:
    got = await served.http.request(method, path)
    assert refusal(got)[0] == status
    assert status != 405 or "allow" in got.headers


@pytest.mark.parametrize("path", ["/livez", "/v1/rooms", "/metrics", "/"])
async def test_head_is_get_without_its_body(served: Served, path: str) -> None:
    got, head = await served.http.get(path), await served.http.head(path)
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", got.headers["content-type"])


# ---- tokens ----------------------------------------------------------------------------------


async def test_with_tokens_nothing_of_a_room_is_told_without_one() -> None:
    async with serving(
        settings=Settings(auth=TOKENS, server=ServerSettings(trusted_proxies=["127.0.0.0/8"]))
    ) as served:
        for path in ("/v1/rooms", "/v1/rooms/lobby", "/v1/rooms/lobby/items", "/v1/rooms/lobby/events"):
            got = await served.http.get(path)
            assert (refusal(got)[:2], got.headers["www-authenticate"]) == ((401, "unauthenticated"), "Bearer")
        # From this machine, metrics are open; through a proxy, they are as everything else.
        assert (await served.http.get("/metrics")).status_code == 200
        assert (await served.http.get("/metrics", headers={"x-forwarded-for": "9.9.9.9"})).status_code == 401
        assert (await served.http.get("/livez")).status_code == 200


async def test_a_token_says_who_asks_and_what_they_may() -> None:
    async with serving(settings=Settings(auth=TOKENS)) as served:
        body = {"type": "message.create", "id": "c1", "content": "x", "respond": "never"}
        spoken = await post(served, "lobby", body, headers={"authorization": f"Bearer {ANN}"}, params={"member": "bob"})
        assert spoken.status_code == 200
        refused = await post(served, "lobby", body, headers={"authorization": f"Bearer {BOB}"})
        assert refusal(refused)[:2] == (403, "forbidden")
        items = (await served.http.get("/v1/rooms/lobby/items", headers={"authorization": f"Bearer {BOB}"})).json()[
            "items"
        ]
        assert [item["by"] for item in items] == [{"id": "ann", "name": "Ann"}]


# ---- other people's pages --------------------------------------------------------------------


async def test_a_listed_page_may_ask_from_elsewhere_and_no_other_is_told_that_it_may() -> None:
    settings = Settings(server=ServerSettings(allowed_origins=["https://good.example"]))
    async with serving(settings=settings) as served:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        good = await served.http.options("/v1/rooms/x/commands", headers={"origin": "https://good.example", **asked})
        evil = await served.http.options("/v1/rooms/x/commands", headers={"origin": "https://evil.example", **asked})
        assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, "https://good.example")
        assert "access-control-allow-origin" not in evil.headers
        refused = await post(served, "x", {"id": "c"}, headers={"origin": "https://good.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (400, "https://good.example")
