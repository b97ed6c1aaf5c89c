"""Hosts, origins, networks and addresses of services: each made canonical, or refused with a reason."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from roomcast.config.problems import Unfit

__all__ = ["base_url", "host", "is_loopback", "network", "origin", "storage"]

_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


def is_loopback(name: str) -> bool:
    """Whether only this machine can reach a server that listens on `name`."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False  # a name may resolve to anything


def host(value: str) -> str:
    """An address or name to listen on, without brackets and port."""
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        return str(ip_address(bare))
    except ValueError:
        if re.fullmatch(r"[0-9.]+|.*:.*", bare) or not _NAME.fullmatch(bare):
            raise Unfit("an IP address or a host name; the port is server.port", value) from None
        return bare.lower()


def network(value: str) -> str:
    """An IP address or network, such as `10.0.0.0/8`."""
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise Unfit("IP addresses or networks, such as 10.0.0.0/8", value) from None


def origin(value: str) -> str:
    """An origin as a browser sends it: `scheme://host[:port]`, lower case, no default port.

    Exact only. A pattern that matches more than was meant is how other people's pages get in.
    """
    expected = "origins such as https://chat.example.com: scheme, host and port only"
    if "*" in value:
        raise Unfit("exact origins; wildcards are not supported", value)
    parts, port = _split(value, expected)
    if parts.path or parts.query or parts.fragment or value.endswith(("?", "#")):
        raise Unfit(expected, value)
    name = parts.hostname or ""
    bracketed = f"[{host(name)}]" if ":" in name else name
    return f"{parts.scheme}://{bracketed}" + ("" if port in (None, _DEFAULT_PORT.get(parts.scheme)) else f":{port}")


def base_url(value: str) -> str:
    """The address of a model service, without a slash at the end."""
    if "@" in value.partition("://")[2].partition("/")[0]:
        # Not repeated: what stands before the @ is a password.
        raise Unfit("an address without user name and password; the key goes into upstream.api_key")
    expected = "an address such as https://api.example.com/v1"
    parts, _ = _split(value, expected)
    if parts.scheme not in _DEFAULT_PORT or parts.query or parts.fragment or value.endswith(("?", "#")):
        raise Unfit(expected, value)
    return value.strip().rstrip("/")


def _split(value: str, expected: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise Unfit(expected, value) from None
    name = parts.hostname or ""
    if not _SCHEME.fullmatch(parts.scheme) or "@" in parts.netloc or parts.netloc.endswith(":"):
        raise Unfit(expected, value)
    try:
        host(name)
    except Unfit:
        raise Unfit(expected, value) from None
    return parts, port


def storage(value: str) -> str:
    """Where the log is. What follows `sqlite:///` is a path, taken as it stands; nothing in it is decoded."""
    scheme, _, rest = value.partition("://")
    if scheme in ("redis", "rediss", "postgresql", "postgres"):
        # Not repeated: such addresses hold passwords.
        raise Unfit(f"sqlite:///PATH or memory://; {scheme}:// is planned for a later version and not served yet")
    if value == "memory://" or (scheme == "sqlite" and rest.startswith("/") and rest not in ("/", "/:memory:")):
        return value
    if scheme == "sqlite" and rest == "/:memory:":
        raise Unfit("memory:// for a store without a file", value)
    raise Unfit("sqlite:///PATH or memory://", value)
