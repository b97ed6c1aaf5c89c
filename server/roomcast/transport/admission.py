"""Who may come in, and as whom: for WebSocket handshakes and HTTP requests alike.

    Host, Origin ──► token, or member and name ──► caps of connections and rates

Invariants
    D1  A foreign page cannot speak to us: with authentication off the Host is a loopback name,
        and an Origin is ours or one that was listed.
    D2  A token is compared by its digest with every known one, in time that tells nothing.
    D3  No token and no query string is logged, or repeated in an answer.

Not here: what a member may do (core/session.py, asked again for each command).
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from hashlib import blake2b, sha256
from ipaddress import ip_address, ip_network
from typing import Final

from roomcast.core.errors import Refusal
from roomcast.core.events import JsonObject
from roomcast.core.ids import MEMBER_ID
from roomcast.core.ports import Clock, IdSource, Observer
from roomcast.core.session import SYSTEM, Member, Role
from roomcast.core.settings import Settings
from roomcast.transport.crowd import Crowd
from roomcast.transport.dispatch import Caller
from roomcast.transport.origins import (
    HeaderMap,
    all_values,
    is_loopback_host,
    is_same_origin,
    one_value,
    plain_address,
)
from roomcast.transport.query import read_query
from roomcast.transport.rejected import Rejected

__all__ = ["Admission", "Rejected", "display_name"]

_NOBODY: Final = Member("nobody", "nobody", Role.VIEWER)
"""Whom a connection speaks for before it has shown a token; it may do nothing yet."""

# Controls, surrogates and separators of lines; and what turns the direction of the text around it.
_UNSHOWN: Final = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class Admission:
    """The door.

    Args:
        new_id: Makes identities for those who bring none.
    """

    def __init__(self, settings: Settings, *, clock: Clock, new_id: IdSource, observer: Observer) -> None:
        self._limits = settings.limits
        self._open = settings.auth.mode == "off"
        self._tokens = [
            (_digest(known.token.value), Member(known.member, known.name, known.role)) for known in settings.auth.tokens
        ]
        self._origins = frozenset(settings.server.allowed_origins)
        self._proxies = [ip_network(proxy, strict=False) for proxy in settings.server.trusted_proxies]
        self._crowd = Crowd(settings.limits, clock)
        self._new_id = new_id
        self._observer = observer
        self._salt = new_id("salt").encode()

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Origins of other pages that may speak to us."""
        return self._origins

    # -- from where -----------------------------------------------------------------------------

    def check_host(self, headers: HeaderMap) -> None:
        """With authentication off, refuse (403) whoever reached us under a name that is not loopback."""
        host = one_value(headers, "host")
        if self._open and (host is None or not is_loopback_host(host)):
            raise Rejected(403, "forbidden", "without authentication the Host must be a loopback name", param="host")

    def check_origin(self, headers: HeaderMap) -> None:
        """Refuse (403) a request that a foreign page makes; programs send no Origin and pass."""
        origin = one_value(headers, "origin")
        if origin is None:
            # What a page loads without reading it (an image, a script) has no Origin either.
            if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
                raise Rejected(403, "forbidden", "pages of other sites may not ask this", param="origin")
            return
        host = one_value(headers, "host")
        if origin not in self._origins and not (host and is_same_origin(origin, host)):
            raise Rejected(403, "forbidden", "this Origin may not speak to this server", param="origin")

    def client_address(self, headers: HeaderMap, peer: str) -> str:
        """The address behind `peer`: what trusted proxies say, from the nearest on, else `peer` itself."""
        if not self._trusts(peer):
            return peer
        hops = [hop for value in all_values(headers, "x-forwarded-for") for hop in value.split(",")]
        for hop in reversed(hops):
            address = plain_address(hop)
            if address is None:
                break
            peer = address
            if not self._trusts(peer):
                break
        return peer

    def _trusts(self, peer: str) -> bool:
        address = plain_address(peer) if self._proxies else None
        return address is not None and any(ip_address(address) in network for network in self._proxies)

    # -- as whom --------------------------------------------------------------------------------

    def identify(self, headers: HeaderMap, query: str, address: str, *, connection: str | None = None) -> Caller:
        """Say for whom a request or a connection speaks.

        With tokens, one that shows none gets a caller that is not `authenticated`: a WebSocket
        may still send `session.authenticate`, everybody else is to be refused.

        Args:
            headers: The request's.
            query: The query string, as sent.
            address: Where it comes from, without port.
            connection: Requests with the same text are of one guest, if they do not say whose they are.

        Raises:
            Rejected: 403 for a foreign Host, 401 for a token that nobody knows, 400 for an
                identity that cannot be one.
        """
        self.check_host(headers)
        try:
            asked = read_query(query)
        except Refusal as refusal:
            raise Rejected(400, refusal.code, refusal.message, param=refusal.param) from None
        if "ticket" in asked:
            raise _unauthenticated("tickets are not served yet; send Authorization: Bearer, or session.authenticate")
        if self._open:
            return Caller(self._guest(asked, connection and f"{address} {connection}"), authenticated=True)
        shown = one_value(headers, "authorization")
        if shown is None:
            return Caller(_NOBODY, authenticated=False)
        scheme, _, token = shown.partition(" ")
        member = self._known(token.strip()) if scheme.lower() == "bearer" else None
        if member is None:
            raise _unauthenticated("this token is not valid")
        return Caller(member, authenticated=True)

    def require(self, caller: Caller) -> Caller:
        """Return `caller`, or raise `Rejected` (401): for requests that cannot authenticate later."""
        if not caller.authenticated:
            raise _unauthenticated("send Authorization: Bearer with a token")
        return caller

    def authenticate(self, caller: Caller, token: str) -> JsonObject:
        """Take over the member that `token` stands for, also again on an open connection.

        Returns:
            `{member, expires_at}`; tokens of the configuration do not expire, so `expires_at` is null.

        Raises:
            Refusal: `unauthenticated` for a token that nobody knows; `forbidden` when the
                connection speaks for another member already: what it joined, it joined as that one.
        """
        if not self._open:
            member = self._known(token)
            if member is None:
                raise Refusal("unauthenticated", "this token is not valid", param="token")
            if caller.authenticated and member.id != caller.member.id:
                raise Refusal("forbidden", "this connection speaks for another member", param="token")
            caller.member, caller.authenticated = member, True
            if caller.pump is not None:
                caller.pump.member = member
        return {"member": caller.member.as_json(), "expires_at": None}

    def _known(self, token: str) -> Member | None:
        shown, found = _digest(token), None
        for digest, member in self._tokens:
            if hmac.compare_digest(digest, shown):
                found = member
        return found

    def _guest(self, asked: dict[str, str], connection: str | None) -> Member:
        given = asked.get("member")
        if given is not None and (given == SYSTEM.id or not MEMBER_ID.fullmatch(given)):
            raise Rejected(400, "invalid_value", "member is 1 to 64 of A-Za-z0-9_.@:~-", param="member")
        if given is not None:
            made_up = given
        elif connection is None:
            made_up = self._new_id("guest")
        else:
            made_up = "guest_" + blake2b(connection.encode(), key=self._salt, digest_size=13).hexdigest()
        name = display_name(asked.get("name", ""), self._limits.name_characters)
        return Member(made_up, name or given or f"Guest {made_up[-4:]}", Role.OWNER)

    # -- how many -------------------------------------------------------------------------------

    def admit_connection(self, address: str) -> None:
        """Count a lasting connection in; `release` it at its end. Raises `Rejected` (429, 503)."""
        self._crowd.enter(address)
        self._observer.gauge("roomcast_connections", self._crowd.connections)

    def release(self, address: str) -> None:
        """A connection that was admitted is over."""
        self._crowd.leave(address)
        self._observer.gauge("roomcast_connections", self._crowd.connections)

    def admit_request(self, address: str) -> None:
        """Count a request that changes something. Raises `Rejected` (429)."""
        self._crowd.knock(address)


def display_name(text: str, characters: int) -> str:
    """`text` as a name to show: without controls and turns of direction, in one line, not too long.

    Empty when nothing of it would be seen. What joins emoji and letters stays.
    """
    shown = "".join(sign for sign in text if sign not in _BIDI and unicodedata.category(sign) not in _UNSHOWN)
    shown = re.sub(r"\s+", " ", shown).strip()[:characters].rstrip()
    return shown if any(unicodedata.category(sign)[0] not in "CMZ" for sign in shown) else ""


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _unauthenticated(message: str) -> Rejected:
    return Rejected(401, "unauthenticated", message)
