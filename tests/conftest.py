"""What every test shares: one event loop back-end, Hypothesis profiles, and the rule about skips.

Limits on time are in pyproject.toml (`timeout`, per test). Fixtures that start servers, sockets or
browsers are in tests/support/, next to what they start.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.no_skips"]

# A deadline per example would measure the machine, not the code; so would the health check for slow generation.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", _COMMON, max_examples=50)
settings.register_profile("ci", _COMMON, max_examples=500, derandomize=True)
settings.register_profile("nightly", _COMMON, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


# A shell that starts us in the background has SIGINT ignored, and so would every program that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio: the transport is written against its protocols."""
    return "asyncio"
