"""Names of things: how ids look, and how one is made from a time and some entropy.

    resp_01jd8…   prefix, underscore, 26 characters of Crockford base 32 (a ULID, lower case)

Ids sort by the millisecond they were made in. Nothing here reads a clock or rolls dice:
both are handed in (see `ports.IdSource` for the shell's supply).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["COMMAND_ID", "ENTROPY_BYTES", "MEMBER_ID", "ROOM_NAME", "make_id", "ulid"]

ENTROPY_BYTES: Final = 10
"""Random bytes behind the time in one id (80 bits, as in the ULID specification)."""

ROOM_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
COMMAND_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
MEMBER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:~-]{0,63}")

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def ulid(now_ms: int, entropy: bytes) -> str:
    """Encode 48 bits of time and 80 bits of `entropy` as 26 characters."""
    assert len(entropy) == ENTROPY_BYTES, "an id takes ten bytes of entropy"
    number = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(entropy, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def make_id(prefix: str, now_ms: int, entropy: bytes) -> str:
    """Return `prefix_` and a fresh ulid, for example `resp_01jd8…`."""
    return f"{prefix}_{ulid(now_ms, entropy)}"
