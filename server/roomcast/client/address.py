"""Where a room is: from what a person types to what the sockets need. Pure.

http://host:8080             ws://host:8080/v1/ws       http://host:8080/v1/rooms
https://host/chat            wss://host/chat/v1/ws      https://host/chat/v1/rooms
ws://host:8080/v1/ws         as it is                   http://host:8080/v1/rooms
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlencode, urlsplit

__all__ = ["Address"]

_SECURE = {"http": False, "ws": False, "https": True, "wss": True}
_SOCKET_PATH = "/v1/ws"


@dataclass(frozen=True, slots=True)
class Address:
    """A server, as a client names it.

    Attributes:
        authority: Host and port as typed, without anything before an `@`.
        prefix: Path under which the server stands, without a trailing slash; mostly empty.
        query: What the address had behind a `?`, kept for proxies that need it.
    """

    secure: bool
    authority: str
    prefix: str
    query: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read an address.

        Raises:
            ValueError: It is no http(s) or ws(s) address; the message says what is wrong.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in _SECURE:
            raise ValueError(f"{url!r} does not begin with http://, https://, ws:// or wss://")
        if not parts.hostname:
            raise ValueError(f"{url!r} names no host")
        try:
            parts.port  # noqa: B018  # reading it is what checks it
        except ValueError:
            raise ValueError(f"{url!r} has no valid port") from None
        path = parts.path.rstrip("/").removesuffix(_SOCKET_PATH).rstrip("/")
        return cls(_SECURE[parts.scheme], parts.netloc.rpartition("@")[2], path, parts.query)

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine, which no proxy can reach for us."""
        host = urlsplit(f"//{self.authority}").hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def socket(self, **query: str | None) -> str:
        """Address of the WebSocket, with the query fields that are not None."""
        given = urlencode({name: value for name, value in query.items() if value is not None}, quote_via=quote)
        joined = "&".join(part for part in (self.query, given) if part)
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.prefix}{_SOCKET_PATH}{joined and '?'}{joined}"

    def target(self, path: str) -> str:
        """Path of an HTTP request for `path`, for example `/v1/rooms`."""
        return f"{self.prefix}{path}{self.query and '?'}{self.query}"

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.prefix}"
