"""Tests of roomcast/core/limits.py."""

from __future__ import annotations

from dataclasses import asdict

from roomcast.core.limits import Limits


def test_every_bound_bounds() -> None:
    assert [name for name, bound in asdict(Limits()).items() if bound <= 0] == []


def test_the_documented_bounds() -> None:
    limits = Limits()
    kib = 1024
    assert (limits.command_bytes, limits.frame_bytes, limits.outbox_bytes) == (64 * kib, 1024 * kib, 1024 * kib)
    assert (limits.running_bytes, limits.uncommitted_bytes, limits.batch_bytes) == (512 * kib, 256 * kib, 256 * kib)
    assert (limits.tail_bytes, limits.state_items, limits.checkpoint_events) == (1024 * kib, 500, 1_000)
    assert (limits.write_deadline_s, limits.first_command_timeout_s, limits.head_interval_s) == (10, 10, 15)
    assert (limits.members_listed, limits.presence_state_bytes, limits.receipt_s) == (200, kib, 86_400)


def test_what_stands_in_one_frame_fits_it() -> None:
    """A snapshot has items and running output; a terminal has a whole output."""
    limits = Limits()
    assert limits.snapshot_items_bytes + limits.running_bytes < limits.frame_bytes
    assert limits.command_bytes < limits.batch_bytes <= limits.outbox_bytes
    assert limits.low_water_bytes < limits.high_water_bytes


def test_what_is_kept_of_a_log_is_bounded_by_age_size_and_number() -> None:
    retention = Limits().retention
    assert (retention.age_s, retention.size_bytes, retention.events) == (86_400, 64 * 1024 * 1024, 50_000)
