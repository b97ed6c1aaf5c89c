"""Tests of roomcast/upstream/adapter.py and of the factory in roomcast/upstream/__init__.py."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest

from roomcast.core.limits import Limits
from roomcast.core.ports import Upstream
from roomcast.core.settings import Secret, UpstreamSettings
from roomcast.upstream import build_upstream
from tests.support.hostile_upstream import HostileUpstream, stream
from tests.support.model_streams import text_stream
from tests.support.upstream_calls import APIS, adapter_for, ask, counted_ids

pytestmark = pytest.mark.anyio


def built(api: str, base_url: str | None, *, simulated: bool = False) -> Upstream:
    settings = replace(UpstreamSettings(), api=api)  # type: ignore[arg-type]  # parametrised
    key = None if simulated else Secret("sk-1")
    return build_upstream(
        settings, base_url=base_url, api_key=key, simulated=simulated, new_id=counted_ids(), limits=Limits()
    )


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("base_url", "simulated", "place"),
    [
        (None, False, "openai"),
        ("https://user:secret@models.example.org:8443/v1?key=secret", False, "models.example.org"),
        ("http://127.0.0.1:1234/v1", False, "127.0.0.1"),
        ("http://127.0.0.1:1234/v1", True, "demo"),
    ],
)
async def test_an_upstream_says_where_it_is_and_nothing_secret(
    api: str, base_url: str | None, simulated: bool, place: str
) -> None:
    upstream = built(api, base_url, simulated=simulated)
    assert (upstream.name, upstream.simulated) == (f"{place} ({api})", simulated)
    await upstream.close()


@pytest.mark.parametrize("api", APIS)
async def test_warming_asks_nobody_and_changes_nothing(api: str) -> None:
    async with HostileUpstream() as service, adapter_for(service.base_url, api) as upstream:
        await upstream.warm()
        assert service.connections == 0
        service.script(stream(*text_stream(api, "Hi")))
        assert (await ask(upstream)).text == "Hi"


@pytest.mark.parametrize("api", APIS)
async def test_generations_run_side_by_side(api: str) -> None:
    async with HostileUpstream() as service, adapter_for(service.base_url, api) as upstream:
        service.script(*(stream(*text_stream(api, f"answer {number}")) for number in range(20)))
        calls = await asyncio.gather(*(ask(upstream) for _ in range(20)))
        assert {call.text for call in calls} == {f"answer {number}" for number in range(20)}
        assert not any(call.error for call in calls)


@pytest.mark.parametrize("api", APIS)
async def test_more_generations_than_connections_are_told_so(api: str) -> None:
    limits = replace(Limits(), generations=1)
    async with HostileUpstream() as service, adapter_for(service.base_url, api, limits=limits) as upstream:
        service.script(stream(*text_stream(api, "Hi")))
        calls = await asyncio.gather(*(ask(upstream) for _ in range(60)))
        assert all(call.text == "Hi" for call in calls), "the pool hands connections on"
        assert service.connections <= limits.generations + 16


def test_importing_the_package_does_not_import_the_client() -> None:
    """It takes a second; `roomcast --help` has no use for it."""
    code = "import sys, roomcast.upstream; sys.exit('openai' in sys.modules or 'tiktoken' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
