"""Who may do what (A2, A6, A7): tokens of a configuration file, asked again for each command."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_peer import RawPeer, upgrade_head
from tests.support.server import ENDLESS, Server, roomcast_server
from tests.support.unharmed import log_lines

TOKENS = {role: f"canary-token-of-the-{role}" for role in ("viewer", "speaker", "moderator", "owner")}
HASTY = {"ROOMCAST_LIMITS__FIRST_COMMAND_TIMEOUT_S": "4"}
PATIENT = {"ROOMCAST_LIMITS__FIRST_COMMAND_TIMEOUT_S": "60", "ROOMCAST_DEMO__TOKENS_PER_SECOND": "60"}


@contextmanager
def asking_for_tokens(folder: Path, environ: Mapping[str, str]) -> Generator[Server]:
    """A server that knows four tokens, and tells none of them."""
    config = folder / "roomcast.toml"
    tables = ['[auth]\nmode = "token"\n']
    for role, token in TOKENS.items():
        tables.append(f'[[auth.tokens]]\ntoken = "{token}"\nmember = "{role}"\nname = "The {role}"\nrole = "{role}"\n')
    config.write_text("\n".join(tables))
    config.chmod(0o600)
    with roomcast_server(folder / "data", "--config", str(config), environ=environ) as server:
        yield server
        bad = [line for line in log_lines(server) if line["level"] in {"error", "critical"} or "exception" in line]
        assert bad == []
        assert not any(token in server.log.read_text() for token in TOKENS.values()), "a token is in the log"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with asking_for_tokens(tmp_path_factory.mktemp("roles"), PATIENT) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """One that does not wait for long."""
    with asking_for_tokens(tmp_path_factory.mktemp("hasty"), HASTY) as server:
        yield server


def connected(server: Server, role: str) -> RawPeer:
    return RawPeer.upgraded(server.port, authorization=f"Bearer {TOKENS[role]}")


ALLOWED: dict[str, tuple[str, dict[str, Any]]] = {
    # command: the least role, and its fields
    "room.join": ("viewer", {}),
    "history.list": ("viewer", {}),
    "message.create": ("speaker", {"content": "x", "respond": "never"}),
    "response.create": ("speaker", {"input": "x"}),
    "response.cancel": ("speaker", {}),
    "item.rate": ("speaker", {"item_id": "msg_x", "rating": 1}),
    "tool.output": ("speaker", {"call_id": "call_x", "output": "x"}),
    "room.update": ("moderator", {"title": "x"}),
    "tool.decide": ("moderator", {"call_id": "call_x", "decision": "approve", "arguments_digest": "x"}),
    "branch.select": ("moderator", {"item_id": "msg_x"}),
    "room.delete": ("owner", {}),
}
ROLES = list(TOKENS)


@pytest.mark.parametrize("role", ROLES)
def test_A7_each_role_may_send_its_commands_and_those_of_the_roles_before_it(server: Server, role: str) -> None:
    with connected(server, "owner") as owner:
        assert owner.reply("room.join", room="lobby")["ok"]
    with connected(server, role) as peer:
        for kind, (least, fields) in ALLOWED.items():
            answer = peer.reply(kind, room="lobby", **fields)
            refused = answer.get("error", {}).get("code") == "forbidden"
            assert refused is (ROLES.index(role) < ROLES.index(least)), (kind, answer)


def test_A7_a_viewer_watches_and_neither_asks_nor_cancels(server: Server) -> None:
    with connected(server, "viewer") as viewer, connected(server, "speaker") as speaker:
        joined = viewer.reply("room.join", room="stage")["result"]
        assert joined["you"] == {"id": "viewer", "name": "The viewer", "role": "viewer"}
        asked = speaker.reply("message.create", room="stage", content="a short answer, please")["result"]
        assert viewer.reply("response.cancel", room="stage")["error"]["code"] == "forbidden"
        assert viewer.reply("message.create", room="stage", content="x")["error"]["code"] == "forbidden"
        assert viewer.until_type("response.completed")["response_id"] == asked["response_id"]
        created = [got for got in viewer.heard if got["type"] == "item.created"]
        assert [got["by"]["id"] for got in created] == ["speaker"]


def test_A7_a_withdrawal_is_ones_own_or_a_moderators(server: Server) -> None:
    with connected(server, "speaker") as speaker, connected(server, "moderator") as moderator:
        speaker.reply("room.join", room="line")
        moderator.reply("message.create", room="line", content=ENDLESS)
        waiting = moderator.reply("message.create", room="line", content="x")["result"]["response_id"]
        own = speaker.reply("message.create", room="line", content="x")["result"]["response_id"]
        refused = speaker.reply("response.cancel", room="line", response_id=waiting)
        assert refused["error"]["code"] == "forbidden"
        assert speaker.reply("response.cancel", room="line", response_id=own)["result"]["status"] == "cancelled"
        again = speaker.reply("message.create", room="line", content="x")["result"]["response_id"]
        taken = moderator.reply("response.cancel", room="line", response_id=again)["result"]
        assert taken["status"] == "cancelled"
        assert speaker.reply("response.cancel", room="line")["ok"], "any speaker may stop what runs"


@pytest.mark.parametrize(
    "shown",
    ["Bearer nobody-knows-this-token", "Bearer", "Basic b3duZXI6", f"Bearer {TOKENS['owner']}x", TOKENS["owner"]],
)
def test_A2_a_token_that_nobody_knows_is_refused_before_the_upgrade(server: Server, shown: str) -> None:
    with RawPeer(server.port) as peer:
        peer.send(upgrade_head(server.port, authorization=shown))
        status, headers, _ = peer.response()
        assert (status, headers["www-authenticate"]) == (401, "Bearer")


def test_without_a_token_no_room_is_served_until_one_is_shown(server: Server) -> None:
    with RawPeer.upgraded(server.port) as peer:
        for kind, (_, fields) in ALLOWED.items():
            assert peer.reply(kind, room="lobby", **fields)["error"]["code"] == "unauthenticated"
        wrong = peer.reply("session.authenticate", token="nobody-knows-this-token")
        assert (wrong["error"]["code"], wrong["error"]["param"]) == ("unauthenticated", "token")
        shown = peer.reply("session.authenticate", token=TOKENS["speaker"])["result"]
        assert shown == {"member": {"id": "speaker", "name": "The speaker", "role": "speaker"}, "expires_at": None}
        assert peer.reply("room.join", room="lobby")["result"]["you"]["id"] == "speaker"
        assert peer.reply("session.authenticate", token=TOKENS["speaker"])["ok"], "to refresh is no harm"
        other = peer.reply("session.authenticate", token=TOKENS["owner"])
        assert other["error"]["code"] == "forbidden"
        assert peer.reply("room.delete", room="lobby")["error"]["code"] == "forbidden"


def test_whoever_shows_no_token_in_time_is_closed_4401(hasty: Server) -> None:
    with RawPeer.upgraded(hasty.port) as silent, RawPeer.upgraded(hasty.port) as guessing:
        assert guessing.reply("session.ping")["ok"]
        assert not guessing.reply("session.authenticate", token="nobody-knows-this-token")["ok"]
        assert silent.goodbye() == 4401
        assert guessing.goodbye() == 4401


def test_whoever_showed_one_in_time_stays(hasty: Server) -> None:
    with RawPeer.upgraded(hasty.port) as shown, RawPeer.upgraded(hasty.port) as silent:
        assert shown.reply("session.authenticate", token=TOKENS["viewer"])["ok"]
        assert silent.goodbye() == 4401
        assert shown.reply("room.join", room="lobby")["ok"]


def test_a_member_in_the_address_counts_for_nothing_where_tokens_are_asked_for(server: Server) -> None:
    with RawPeer.upgraded(server.port, member="owner", authorization=f"Bearer {TOKENS['viewer']}") as peer:
        assert peer.reply("room.join", room="lobby")["result"]["you"]["id"] == "viewer"
