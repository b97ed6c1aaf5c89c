"""A model service that sends too much (U14 to U16): cut at the bound, with the server's memory and viewers unharmed."""

from __future__ import annotations

import gzip
import zlib

import anyio
import pytest

from tests.e2e.conftest import Bench
from tests.e2e.outcomes import deltas, opening, outcome, said, verdict
from tests.support.hostile_upstream import Chunk, Flood, respond, stream
from tests.support.memory import MIB, rss_bytes, settled_rss_bytes
from tests.support.model_streams import text_stream
from tests.support.raw_peer import RawPeer

pytestmark = pytest.mark.anyio

BOMB = b"data: " + b" " * 100_000_000
PACKED = {
    "gzip": gzip.compress(BOMB),
    "deflate": zlib.compress(BOMB),
    "br": b"\x8b\xff\xff\x3f" * 20_000,  # the name is enough: nothing is unpacked
    "gzip, gzip": gzip.compress(gzip.compress(BOMB)),
}
HELD_BYTES = 48 * MIB
"""What a bounded line, its parse and the room's share of an answer may take together, and be slow to give back."""


@pytest.fixture
async def rested_bytes(bench: Bench) -> int:
    """Memory of the server at rest: what it loads behind its start, and after a first answer, is there."""
    async with bench.room() as (ann, bob):
        await outcome(bench, ann, bob, stream(*text_stream(bench.api, "warm")))
    return await anyio.to_thread.run_sync(settled_rss_bytes, bench.server)


async def test_U14_twenty_megabytes_in_one_chunk_are_refused_and_not_kept(bench: Bench, rested_bytes: int) -> None:
    [huge] = said(bench.api, "x" * 20_000_000)[-1:]
    async with bench.room() as (ann, bob):
        done, text = await outcome(bench, ann, bob, stream(*said(bench.api, "one "), huge))
        assert (verdict(done), text) == ("failed upstream_bad_response", "one ")
    assert rss_bytes(bench.server) - rested_bytes < HELD_BYTES


async def test_U14_two_hundred_megabytes_without_an_end_of_line_are_not_read(bench: Bench, rested_bytes: int) -> None:
    first = len(bench.upstream.requests)
    async with bench.room() as (ann, bob):
        done, text = await outcome(bench, ann, bob, stream(Flood(b"x" * 65_536, most_bytes=200_000_000)))
        assert (verdict(done), text) == ("failed upstream_bad_response", "")
    assert bench.upstream.requests[first].sent_bytes < 30_000_000
    assert rss_bytes(bench.server) - rested_bytes < HELD_BYTES


async def test_U15_an_answer_without_end_is_cut_and_its_service_hung_up_on(bench: Bench) -> None:
    first = len(bench.upstream.requests)
    [more] = said(bench.api, "and so on, and on " * 5)[-1:]
    more = more.replace(b'"sequence_number": 4', b'"number": 4')  # the same one again would count once
    async with bench.room() as (ann, bob):
        endless = stream(*opening(bench.api), Flood(more, most_bytes=1_000_000_000))
        done, text = await outcome(bench, ann, bob, endless)
        assert verdict(done) == "incomplete output_limit"
        assert 400_000 < len(text) <= 512 * 1024
    with anyio.fail_after(60):
        await bench.upstream.requests[first].hung_up.wait()
    assert bench.upstream.requests[first].sent_bytes < 100_000_000


async def test_U15_ten_thousand_tokens_at_once_reach_everybody_in_fewer_events(bench: Bench) -> None:
    """Also one who reads nothing of them until they are over."""
    number = 10_000
    begin, end = opening(bench.api), text_stream(bench.api, "")[len(opening(bench.api)) + 1 :]
    flood = b"".join(chunk.data for chunk in deltas(bench.api, "token ", number))
    pieces = [Chunk(flood[start : start + 50_000]) for start in range(0, len(flood), 50_000)]
    slow = await anyio.to_thread.run_sync(lambda: RawPeer.upgraded(bench.server.port, receive_buffer_bytes=4_096))
    with slow:
        await anyio.to_thread.run_sync(lambda: slow.reply("room.join", room="lobby", items=0))
        async with bench.room() as (ann, bob):
            bench.upstream.script(stream(*begin, *pieces, *end))
            asked = await ann.ask("lobby", "please")
            done = await ann.ending(asked["response_id"])
            assert await bob.ending(asked["response_id"]) == done
            assert verdict(done) == "completed"
            assert ann.text(asked["response_id"]) == bob.text(asked["response_id"]) == "token " * number
            heard = [got["seq"] for got in bob.events("lobby") if got["type"] == "response.output_text.delta"]
            assert 1 <= len(heard) < number / 10
            late = await anyio.to_thread.run_sync(
                lambda: slow.until_type(done["type"], response_id=done["response_id"])
            )
            assert late == done
            told = [got.get("delta", "") for got in slow.heard if got["type"] == "response.output_text.delta"]
            assert "".join(told) == "token " * number


async def test_U16_a_packed_answer_is_refused_and_never_unpacked(bench: Bench, rested_bytes: int) -> None:
    async with bench.room() as (ann, bob):
        for packing, data in PACKED.items():
            script = respond(200, data, headers={"content-encoding": packing}, content_type="text/event-stream")
            done, text = await outcome(bench, ann, bob, script)
            assert (verdict(done), text) == ("failed upstream_bad_response", ""), packing
    assert rss_bytes(bench.server) - rested_bytes < 16 * MIB
