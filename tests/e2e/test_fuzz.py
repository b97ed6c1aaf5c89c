"""I9: seeded mutations of valid commands, and frames at random: each is answered once or ends its own connection."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from tests.support.raw_peer import CLOSE, TEXT, Gone, RawPeer, encode_frame
from tests.support.server import Server, roomcast_server
from tests.support.unharmed import assert_unharmed

MUTATIONS = 100_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 10_000
BATCH = 50
SEED = 20_261_122
UNHURRIED = {
    "ROOMCAST_LIMITS__COMMANDS_PER_S": "10000000",
    "ROOMCAST_LIMITS__COMMANDS_BURST": "10000000",
    "ROOMCAST_LIMITS__ERRORS_PER_MINUTE": "10000000",
    "ROOMCAST_LIMITS__HANDSHAKES_PER_ADDRESS_BURST": "10000000",
    "ROOMCAST_DEMO__TOKENS_PER_SECOND": "10000",
}
VALID: Sequence[dict[str, Any]] = (
    {"type": "session.ping"},
    {"type": "session.authenticate", "token": "not-a-token-of-anybody"},
    {"type": "room.join", "room": "lobby", "items": 3},
    {"type": "room.join", "room": "lobby", "after": {"epoch": "e", "seq": 3}, "on_slow": "snapshot"},
    {"type": "room.leave", "room": "lobby"},
    {"type": "message.create", "room": "lobby", "content": "hello 😀", "respond": "never"},
    {"type": "message.create", "room": "side", "content": [{"type": "input_text", "text": "hello"}]},
    {"type": "response.create", "room": "side", "input": "hello", "temperature": 0.5, "metadata": {"a": "b"}},
    {"type": "response.create", "room": "side", "input": [{"role": "user", "content": "hello"}], "on_busy": "reject"},
    {"type": "response.cancel", "room": "side", "reason": "enough"},
    {"type": "presence.update", "room": "lobby", "state": {"typing": True, "at": [1, 2.5, None]}},
    {"type": "history.list", "room": "lobby", "limit": 5},
    {"type": "history.search", "room": "lobby", "query": "x"},
    {"type": "item.edit", "room": "lobby", "item_id": "msg_x", "content": "y"},
    {"type": "tool.output", "room": "lobby", "call_id": "call_x", "output": "y"},
)
ODD: Sequence[Any] = (
    *(None, True, False, 0, -1, 1.5, -0.0, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -(2**64), 1e308, 5e-324),
    *("", " ", "\0", "a" * 129, "a" * 5_000, "\u202e", "😀", "lobby\n", "../x", "system", "resp_x", "msg_x", "\ufffe"),
    *([], {}, [[]], [{}], {"": ""}, {"type": "input_text"}, [{"type": "input_text", "text": "x"}] * 65, ["reasoning"]),
)
TOKENS = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "\\u",
    "\\ud83c",
    "null",
    "NaN",
    "1e999",
    "-",
    "\0",
    "\ufeff",
    "é",
    " ",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with roomcast_server(tmp_path_factory.mktemp("fuzz"), environ=UNHURRIED) as server:
        yield server


def mutated(chance: random.Random, number: int) -> bytes:
    """A valid command with something wrong about it, or not."""
    body: dict[str, Any] = json.loads(json.dumps({**chance.choice(VALID), "id": f"f{number}"}))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        _change(chance, body)
    text = json.dumps(body, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.4:
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice(TOKENS) + text[place + chance.choice((0, 0, 1, 5)) :]
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.02:
        place = chance.randrange(len(data))
        data = data[:place] + bytes((chance.randrange(256),)) + data[place + 1 :]
    return data


def _change(chance: random.Random, body: dict[str, Any]) -> None:
    name = chance.choice(list(body)) if body else "x"
    match chance.randrange(6):
        case 0:
            body.pop(name, None)
        case 1:
            body[chance.choice(("x", "room", "content", "after", "__proto__", "model", "response_id"))] = chance.choice(
                ODD
            )
        case 2 if isinstance(body.get(name), dict) and body[name]:
            _change(chance, body[name])
        case 3:
            other = chance.choice(VALID)
            body["type"] = other["type"]
        case _:
            body[name] = chance.choice(ODD)


def is_text(data: bytes) -> bool:
    """Whether it is UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def answers(peer: RawPeer, expected: int) -> Counter[str]:
    """The outcomes of `expected` messages, and not one more."""
    codes: Counter[str] = Counter()
    while codes.total() < expected:
        got = peer.hear()
        if got["type"] in {"reply", "error"}:
            codes[got["error"]["code"] if not got.get("ok") else "ok"] += 1
    return codes


@pytest.mark.timeout(600)
def test_I9_each_mutation_is_answered_exactly_once_and_none_crashes_the_server(server: Server) -> None:
    chance = random.Random(SEED)
    numbers = count()
    outcomes: Counter[str] = Counter()
    while outcomes.total() < MUTATIONS:
        with RawPeer.upgraded(server.port, member=f"m{chance.randrange(5)}") as peer:
            for _ in range(10):
                batch = [data for _ in range(BATCH) if is_text(data := mutated(chance, next(numbers)))]
                peer.send(b"".join(encode_frame(TEXT, data) for data in batch))
                outcomes += answers(peer, len(batch))
    assert_unharmed(server)
    assert "internal" not in outcomes, outcomes
    assert outcomes["ok"] > MUTATIONS / 20, outcomes
    assert len(outcomes) > 10, outcomes


def test_W3_bytes_that_are_no_text_end_their_own_connection_only(server: Server) -> None:
    chance = random.Random(SEED)
    damaged = (data for number in count() if not is_text(data := mutated(chance, number)))
    for _ in range(30):
        with RawPeer.upgraded(server.port) as peer:
            peer.text(next(damaged))
            assert peer.goodbye() == 1007
    assert_unharmed(server)


def test_I9_frames_at_random_end_with_a_close_code_that_says_whose_fault_it_was(server: Server) -> None:
    chance = random.Random(SEED)
    codes: Counter[int | None] = Counter()
    for _ in range(300):
        with RawPeer.upgraded(server.port) as peer:
            frames = [_frame_at_random(chance) for _ in range(chance.randrange(1, 8))]
            with suppress(OSError):  # the first may have ended it before the last is sent
                for frame in [*frames, encode_frame(CLOSE, (1000).to_bytes(2, "big"))]:
                    peer.send(frame)
                peer.half_close()
            codes[_farewell(peer)] += 1
    assert_unharmed(server)
    assert codes.keys() <= {1000, 1002, 1003, 1005, 1007, 1009, 4400, None}, codes


def _frame_at_random(chance: random.Random) -> bytes:
    payload = chance.choice([b"", b"{}", b'{"type":"session.ping","id":"p"}', chance.randbytes(chance.randrange(140))])
    frame = encode_frame(
        chance.choice((0, 1, 1, 1, 2, 3, 8, 9, 9, 10, 15)),
        payload,
        fin=chance.random() < 0.8,
        rsv=chance.choice((0,) * 9 + (4,)),
        mask=chance.random() < 0.9,
        length=chance.choice((None,) * 9 + (2**40,)),
    )
    return frame if chance.random() < 0.9 else frame[: chance.randrange(len(frame) + 1)]


def _farewell(peer: RawPeer) -> int | None:
    try:
        return peer.goodbye()
    except (BrokenPipeError, ConnectionResetError, Gone):
        return None
