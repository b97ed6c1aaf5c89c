"""The main job from the outside: a server in a process of its own, the demo model, real sockets."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from tests.e2e.outcomes import HUNG_UP_MS
from tests.support.server import ENDLESS, roomcast_server
from tests.support.wire_client import Heard, WireClient, wire_client

pytestmark = pytest.mark.anyio

FAST = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "400"}
SLOW = {"ROOMCAST_DEMO__TOKENS_PER_SECOND": "40"}
DRAINING = {"ROOMCAST_SERVER__DRAIN_TIMEOUT_S": "6"}
"""Long enough to be told in it that it drains, also on a busy machine."""


async def test_two_viewers_see_one_stream_and_a_late_one_misses_nothing(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=SLOW) as server:
        async with anyio.create_task_group() as tasks:
            async with (
                wire_client(server.ws_url, tasks, member="ann") as ann,
                wire_client(server.ws_url, tasks, member="bob") as bob,
            ):
                await ann.join("lobby")
                await bob.join("lobby")
                asked = await ann.ask("lobby", "long: tell me a story")
                response_id = asked["response_id"]
                await bob.until_type("response.output_text.delta")
                async with wire_client(server.ws_url, tasks, member="late") as late:
                    joined = await late.join("lobby")
                    [running] = [shown for shown in joined["snapshot"]["responses"] if shown["id"] == response_id]
                    so_far = "".join(
                        part["text"] for item in running["output"] for part in item["content"] if "text" in part
                    )
                    done = await late.ending(response_id)
                    for viewer in (ann, bob):
                        assert (await viewer.ending(response_id)) == done
                    text = ann.text(response_id)
                    assert text == bob.text(response_id) == so_far + late.text(response_id)
                    assert done["type"] == "response.completed"
                    assert done["digest"] == "sha256:" + sha256(text.encode()).hexdigest()
                    assert done["response"]["simulated"] is True
                    assert done["response"]["usage"]["source"] == "reported"
                    seqs = [got["seq"] for got in ann.events("lobby")]
                    assert seqs == list(range(seqs[0], seqs[-1] + 1))
            tasks.cancel_scope.cancel()
    assert "simulated" in server.ready_line


async def test_any_member_can_cancel_and_all_hear_the_same_ending(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=SLOW) as server:
        async with anyio.create_task_group() as tasks:
            async with (
                wire_client(server.ws_url, tasks, member="ann") as ann,
                wire_client(server.ws_url, tasks, member="bob") as bob,
            ):
                await ann.join("lobby")
                await bob.join("lobby")
                asked = await ann.ask("lobby", ENDLESS)
                await bob.until_type("response.output_text.delta")
                stopped = await bob.command("response.cancel", room="lobby", reason="enough")
                assert stopped["result"]["status"] == "cancelling"
                done = await ann.ending(asked["response_id"], timeout_s=60)
                assert done == await bob.ending(asked["response_id"])
                assert done["type"] == "response.cancelled"
                assert done["receipt"]["by"] == {"id": "bob", "name": "Bob"}
                assert done["receipt"]["upstream_closed_ms"] <= HUNG_UP_MS
                kinds = [got["type"] for got in ann.events("lobby")]
                assert kinds[kinds.index("response.cancelling") :] == ["response.cancelling", "response.cancelled"]
                again = await ann.ask("lobby", "short one please")
                assert (await bob.ending(again["response_id"]))["type"] == "response.completed"
            tasks.cancel_scope.cancel()


async def _until_killed(tmp_path: Path) -> tuple[WireClient, Heard, Heard, Heard]:
    """Ask twice, and kill the server while it answers the first; returns what one viewer has by then."""
    with roomcast_server(tmp_path, environ=SLOW) as server:
        async with anyio.create_task_group() as tasks, wire_client(server.ws_url, tasks, member="ann") as ann:
            joined = await ann.join("lobby")
            asked = await ann.ask("lobby", ENDLESS)
            waiting = await ann.ask("lobby", "short one please")
            assert waiting["status"] == "queued"
            await ann.until(lambda _: len(ann.text(asked["response_id"])) > 100)
            server.kill()
            await ann.until_closed()
            return ann, joined, asked, waiting
    raise AssertionError("unreachable")


async def test_kill_9_loses_nothing_that_anybody_saw(tmp_path: Path) -> None:
    ann, joined, asked, waiting = await _until_killed(tmp_path)
    seen = ann.events("lobby")
    with roomcast_server(tmp_path, environ=FAST) as server:
        async with anyio.create_task_group() as tasks:
            async with (
                wire_client(server.ws_url, tasks, member="ann") as back,
                wire_client(server.ws_url, tasks, member="fresh") as fresh,
            ):
                resumed = await back.join("lobby", after={"epoch": joined["epoch"], "seq": seen[-1]["seq"]})
                assert (resumed["resumed"], resumed["epoch"]) == (True, joined["epoch"])
                ended = await back.ending(asked["response_id"])
                assert (ended["type"], ended["cause"]) == ("response.interrupted", "restart")
                assert (await back.ending(waiting["response_id"]))["type"] == "response.completed"
                again = await fresh.join("lobby", after={"epoch": joined["epoch"], "seq": joined["seq"]})
                assert again["resumed"]
                await fresh.ending(waiting["response_id"])
                assert fresh.text(asked["response_id"]).startswith(ann.text(asked["response_id"]))
                unmerged = {got["seq"]: got for got in fresh.events("lobby") if "seq_from" not in got}
                assert all(unmerged[got["seq"]] == got for got in seen if got["seq"] in unmerged)
                assert back.events("lobby")[0].get("seq_from", back.events("lobby")[0]["seq"]) == seen[-1]["seq"] + 1
                endings = [got for got in fresh.events("lobby") if "digest" in got]
                assert sorted(got["response_id"] for got in endings) == sorted(
                    [asked["response_id"], waiting["response_id"]]
                )
            tasks.cancel_scope.cancel()


async def test_a_drain_says_goodbye_and_ends_with_status_0(tmp_path: Path) -> None:
    with roomcast_server(tmp_path, environ=DRAINING) as server:
        async with anyio.create_task_group() as tasks:
            async with wire_client(server.ws_url, tasks, member="ann") as ann:
                await ann.join("lobby")
                asked = await ann.ask("lobby", ENDLESS)
                await ann.until_type("response.output_text.delta")
                server.terminate()
                notice = await ann.until_type("server.draining")
                assert notice["retry_after_ms"] > 0
                refused = await ann.command("message.create", room="lobby", content="one more")
                assert refused["error"]["code"] == "draining"
                ended = await ann.ending(asked["response_id"])
                assert (ended["type"], ended["cause"]) == ("response.interrupted", "drain")
                assert (await ann.until_closed())[0] == 1012
            tasks.cancel_scope.cancel()
        assert server.wait(60) == 0


async def test_a_second_server_on_the_same_folder_is_refused_in_one_clear_line(tmp_path: Path) -> None:
    with (
        roomcast_server(tmp_path),
        pytest.raises(AssertionError, match=r"did not start \(status 1\)") as refused,
        roomcast_server(tmp_path),
    ):
        pass
    assert "Traceback" not in str(refused.value)
