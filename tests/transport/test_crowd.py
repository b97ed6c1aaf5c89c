"""Tests of roomcast/transport/crowd.py."""

from __future__ import annotations

import pytest

from roomcast.core.limits import Limits
from roomcast.transport.crowd import Crowd
from roomcast.transport.rejected import Rejected


class HandClock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return self.now_s


def a_crowd(**limits: float) -> tuple[Crowd, HandClock]:
    clock = HandClock()
    return Crowd(Limits(**limits), clock), clock  # type: ignore[arg-type]  # each test names numbers of the right kind


def refused(crowd: Crowd, address: str) -> tuple[int, str]:
    with pytest.raises(Rejected) as caught:
        crowd.enter(address)
    assert caught.value.refusal.retry_after_ms is not None
    return caught.value.status, caught.value.code


def test_a_full_server_says_so_until_somebody_leaves() -> None:
    crowd, _ = a_crowd(connections=2)
    crowd.enter("1.1.1.1")
    crowd.enter("2.2.2.2")
    assert refused(crowd, "3.3.3.3") == (503, "unavailable")
    crowd.leave("1.1.1.1")
    crowd.enter("3.3.3.3")
    assert crowd.connections == 2


def test_one_address_cannot_take_every_place() -> None:
    crowd, _ = a_crowd(connections_per_address=2)
    crowd.enter("2001:db8::1")
    crowd.enter("2001:db8::2")
    assert refused(crowd, "2001:db8::3") == (429, "rate_limited")
    crowd.enter("2001:db8:1::1")


def test_an_address_that_comes_too_fast_waits_and_no_other_does() -> None:
    crowd, clock = a_crowd(handshakes_per_address_per_s=1.0, handshakes_per_address_burst=2)
    crowd.enter("1.1.1.1")
    crowd.enter("1.1.1.1")
    assert refused(crowd, "1.1.1.1") == (429, "rate_limited")
    crowd.enter("2.2.2.2")
    clock.now_s = 3.0
    crowd.enter("1.1.1.1")


def test_nothing_is_kept_of_who_left() -> None:
    crowd, _ = a_crowd()
    for number in range(100):
        crowd.enter(f"10.0.0.{number}")
        crowd.leave(f"10.0.0.{number}")
    assert (crowd.connections, crowd.addresses) == (0, 0)


def test_the_rates_of_many_addresses_are_bounded() -> None:
    crowd, _ = a_crowd()
    for number in range(10_000):
        crowd.knock(f"10.{number >> 8}.{number & 255}.1")
    assert crowd.rates <= 4_096
