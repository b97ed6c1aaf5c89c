"""Rules between keys: sizes that must fit into each other, and what this version cannot do yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from roomcast.config.addresses import is_loopback
from roomcast.config.problems import Problems
from roomcast.config.tokens import EXAMPLE

__all__ = ["check"]

_BELOW: Final = [
    ("limits.low_water_bytes", "limits.high_water_bytes"),
    ("limits.high_water_bytes", "limits.outbox_bytes"),
]
"""The first must be less than the second."""

_WITHIN: Final = [
    (("limits.command_bytes",), "limits.frame_bytes"),
    (("limits.upstream_event_bytes",), "limits.upstream_line_bytes"),
    (("limits.upstream_event_bytes",), "limits.frame_bytes"),  # an event is never split
    (("limits.snapshot_items_bytes", "limits.running_bytes"), "limits.frame_bytes"),  # both are in a snapshot
    (("limits.batch_bytes",), "limits.tail_bytes"),  # or a reader could never catch up from memory
]
"""The sum of the first must not exceed the second."""


def check(values: Mapping[str, object], problems: Problems) -> None:
    """Note what is wrong between keys; a rule is not tried when one of its keys is broken already.

    Args:
        values: By path, all of them.
        problems: Takes what is wrong.
    """
    sizes = {path: cast("int", value) for path, value in values.items() if path.startswith("limits.")}
    for lower, upper in _BELOW:
        if not problems.touch(lower, upper) and sizes[lower] >= sizes[upper]:
            problems.add(f"{lower} = {sizes[lower]}", f"expected less than {upper} = {sizes[upper]}")
    for parts, whole in _WITHIN:
        if not problems.touch(*parts, whole) and (total := sum(sizes[part] for part in parts)) > sizes[whole]:
            problems.add(f"{' + '.join(parts)} = {total}", f"expected at most {whole} = {sizes[whole]}")
    if (workers := values["server.workers"]) != 1:
        problems.add(f"server.workers = {workers}", "several workers are not supported yet; use 1")
    if not problems.touch("server.host", "auth.mode", "auth.tokens"):
        _access(values, problems)


def _access(values: Mapping[str, object], problems: Problems) -> None:
    """A server that others can reach asks who they are."""
    host, mode = str(values["server.host"]), values["auth.mode"]
    if mode == "off" and not is_loopback(host):
        why = f"anybody who reaches {host} could spend your key and read every room"
        problems.add("auth.mode = 'off'", f'{why}; listen on 127.0.0.1, or set auth.mode = "token" and {EXAMPLE}')
    if mode == "token" and not values["auth.tokens"]:
        needs = "" if is_loopback(host) else f" on {host}"
        problems.add("auth.tokens", f"nobody could come in{needs} without one; {EXAMPLE}")
