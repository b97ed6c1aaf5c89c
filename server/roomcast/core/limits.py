"""Every bound, with its unit in its name. config/roomcast.toml gives each its reason.

Invariant: nothing in the program grows without one of these.
"""

from __future__ import annotations

from dataclasses import dataclass

from roomcast.core.log import Retention

__all__ = ["Limits"]

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on bytes, counts and time. Zero and negative values are refused by `config`."""

    # one connection
    command_bytes: int = 64 * KIB
    frame_bytes: int = 1 * MIB
    outbox_bytes: int = 1 * MIB
    high_water_bytes: int = 64 * KIB
    low_water_bytes: int = 16 * KIB
    notsent_lowat_bytes: int = 16 * KIB
    receive_buffer_bytes: int = 16 * KIB
    batch_bytes: int = 256 * KIB
    write_deadline_s: float = 10.0
    handshake_timeout_s: float = 10.0
    first_command_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    rooms_per_connection: int = 64
    commands_in_flight: int = 64
    commands_per_s: float = 50.0
    commands_burst: int = 200
    control_frames_per_s: float = 20.0
    control_frames_burst: int = 100
    errors_per_minute: int = 20

    # all connections
    connections: int = 20_000
    connections_per_address: int = 10_000
    handshakes_per_address_per_s: float = 100.0
    handshakes_per_address_burst: int = 10_000

    # one room
    state_items: int = 500
    tail_bytes: int = 1 * MIB
    tail_events: int = 20_000
    snapshot_items_bytes: int = 256 * KIB
    history_page_items: int = 200
    running_bytes: int = 512 * KIB
    uncommitted_bytes: int = 256 * KIB
    uncommitted_timeout_s: float = 10.0
    checkpoint_events: int = 1_000
    queue_length: int = 32
    members_listed: int = 200
    presence_state_bytes: int = 1 * KIB
    head_interval_s: float = 15.0
    idle_room_s: float = 60.0
    name_characters: int = 64

    # the store
    receipt_s: float = 86_400.0
    retain_age_s: float = 86_400.0
    retain_bytes: int = 64 * MIB
    retain_events: int = 50_000
    disk_watermark_bytes: int = 64 * MIB
    disk_ballast_bytes: int = 16 * MIB
    read_events: int = 1_000
    read_bytes: int = 1 * MIB

    # all generations
    generations: int = 100
    upstream_line_bytes: int = 4 * MIB
    upstream_event_bytes: int = 256 * KIB

    @property
    def retention(self) -> Retention:
        """How much of a room's log is kept."""
        return Retention(self.retain_age_s, self.retain_bytes, self.retain_events)
