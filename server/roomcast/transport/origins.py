"""Who is asking, in the words of HTTP: hosts, origins, addresses, and headers that stand once.

A browser lets any page send requests to a server on loopback. What tells such a page apart is
its `Origin`, and the `Host` when a foreign name was made to point here (DNS rebinding). Both
are compared as parsed values: a prefix or a substring would let look-alikes in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol, cast

from roomcast.transport.rejected import Rejected

__all__ = ["HeaderMap", "address_key", "all_values", "is_loopback_host", "is_same_origin", "one_value", "plain_address"]

_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN: Final = re.compile(r"(https?)://([^/?#@\\\s]{1,300})")
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


class HeaderMap(Protocol):
    """Headers of a request, looked up without regard to case."""

    def get(self, key: str, /) -> str | None:
        """The value of a header, or None."""
        ...


def all_values(headers: HeaderMap, name: str) -> list[str]:
    """Every value of a header, in order: a header may stand more than once.

    `get` of one library gives the first, of another it raises; both have a method for all.
    """
    for method in ("getlist", "get_all"):
        found = getattr(headers, method, None)
        if callable(found):
            return list(cast("Callable[[str], list[str]]", found)(name))
    value = headers.get(name)
    return [] if value is None else [value]


def one_value(headers: HeaderMap, name: str) -> str | None:
    """The value of a header that may stand once at most. Raises `Rejected` (400) when it stands twice."""
    values = all_values(headers, name)
    if len(values) > 1:
        raise Rejected(400, "invalid_value", f"the header {name} stands more than once", param=name)
    return values[0].strip() if values else None


def is_loopback_host(host: str) -> bool:
    """Whether a `Host` header names this machine: `localhost`, 127.0.0.0/8 or [::1], with any port."""
    parsed = _authority(host)
    if parsed is None:
        return False
    name, _ = parsed
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False  # a name may resolve to anything, and *.localhost does in some resolvers


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an `Origin` is the address that the `Host` header names.

    The scheme is not compared: a proxy may speak TLS for us. A port that is left out is the
    default one of the origin's scheme.
    """
    matched = _ORIGIN.fullmatch(origin)
    if matched is None:
        return False
    page, served = _authority(matched[2]), _authority(host)
    if page is None or served is None:
        return False
    default = _DEFAULT_PORT[matched[1]]
    return (page[0], page[1] or default) == (served[0], served[1] or default)


def _authority(text: str) -> tuple[str, int | None] | None:
    """Name in lower case and port of `host[:port]`; an address in its canonical form. None for anything else."""
    matched = _AUTHORITY.fullmatch(text)
    if matched is None:
        return None
    name, port = matched[1].lower(), int(matched[2]) if matched[2] else None
    if name.startswith("["):
        try:
            name = str(IPv6Address(name[1:-1]))
        except ValueError:
            return None
    return (name, port) if port is None or 0 < port < 65_536 else None


def plain_address(text: str) -> str | None:
    """An IP address as proxies write it (`1.2.3.4`, `[::1]`, `1.2.3.4:80`), canonical; None for anything else."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return str(found.ipv4_mapped) if isinstance(found, IPv6Address) and found.ipv4_mapped else str(found)


def address_key(address: str) -> str:
    """Under which name an address is counted: IPv6 by its /64, which is what one subscriber of a network gets."""
    plain = plain_address(address)
    if plain is None or ":" not in plain:
        return plain or address
    return str(IPv6Address(int(IPv6Address(plain)) >> 64 << 64)) + "/64"
