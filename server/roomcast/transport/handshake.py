"""The answer to a WebSocket handshake: 101, or why not, as the error JSON of the protocol.

What makes a handshake valid is the library's to say; who may come, as whom and how many,
is admission's. Nobody is upgraded before both have agreed.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from roomcast.transport.admission import Rejected
from roomcast.transport.dispatch import Caller

if TYPE_CHECKING:
    from roomcast.transport.wheel import Services

__all__ = ["PATH", "SUBPROTOCOL", "shake_hands"]

PATH: Final = "/v1/ws"
SUBPROTOCOL: Final = "roomcast.v1"


def shake_hands(services: Services, protocol: ServerProtocol, request: Request, address: str) -> Caller | None:
    """Give `protocol` the answer to `request` to send.

    Returns:
        For whom the connection speaks; it counts as admitted, until `Admission.release`.
        None when it was turned away.
    """
    admission = services.admission
    try:
        path, query = _split(request.path)
        if path != PATH:
            raise Rejected(404, "not_supported", "there is no WebSocket here")
        caller = admission.identify(request.headers, query, address)
        admission.check_origin(request.headers)
        admission.admit_connection(address)
    except Rejected as rejected:
        services.observer.count("roomcast_handshakes_refused_total", reason=rejected.code)
        protocol.send_response(_refusal(rejected))
        return None
    response = protocol.accept(request)
    offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol")).split(",")
    if SUBPROTOCOL in {name.strip() for name in offered}:
        response.headers["Sec-WebSocket-Protocol"] = SUBPROTOCOL
    protocol.send_response(response)
    if protocol.state is State.OPEN:
        return caller
    admission.release(address)
    return None


def _split(target: str) -> tuple[str, str]:
    """Path and query of a request's target, which may be a whole address."""
    try:
        parts = urlsplit(target)
    except ValueError:
        raise Rejected(400, "invalid_value", "the address cannot be read", param="path") from None
    return parts.path, parts.query


def _refusal(rejected: Rejected) -> Response:
    headers = {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(rejected.body)),
        **rejected.headers,
    }
    return Response(rejected.status, HTTPStatus(rejected.status).phrase, Headers(headers), rejected.body)
