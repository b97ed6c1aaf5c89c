"""A demo upstream at full speed, with faults to ask for, and a client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.upstream.demo.clients import Demo, running


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with running() as demo:
        yield demo
