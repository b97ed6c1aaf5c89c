"""The rooms of a server, over HTTP: the one question that needs no connection of its own.

for room in await list_rooms("http://127.0.0.1:8080"):
    print(room["name"], room["member_count"])
"""

from __future__ import annotations

import http.client
from typing import Final
from urllib.parse import quote

import anyio.to_thread
import orjson

from roomcast.client.address import Address
from roomcast.client.errors import NotAllowed, Refused, Unreachable
from roomcast.client.events import as_object
from roomcast.client.reason import reason
from roomcast.core.events import JsonObject

__all__ = ["list_rooms"]

TIMEOUT_S: Final = 10.0
PAGE: Final = 500


async def list_rooms(url: str, *, token: str | None = None) -> list[JsonObject]:
    """Give all rooms by name: `{name, title, epoch, seq, running, member_count}` each.

    Raises:
        Unreachable: Nobody answered, or what answered was no roomcast server.
        NotAllowed: The server does not know us.
        Refused: It said no for another reason.
        ValueError: `url` is no address.
    """
    return await anyio.to_thread.run_sync(_list_rooms, Address.parse(url), token, abandon_on_cancel=True)


def _list_rooms(address: Address, token: str | None) -> list[JsonObject]:
    kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
    connection = kind(address.authority, timeout=TIMEOUT_S)
    rooms, after = list[JsonObject](), ""
    try:
        while True:
            page = _page(connection, address, token, after)
            rooms.extend(page["rooms"])
            if not page.get("has_more") or not page["rooms"]:
                return rooms
            after = rooms[-1]["name"]
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"cannot reach {address}: {reason(error)}") from error
    except (KeyError, ValueError) as error:
        raise Unreachable(f"what answers at {address} is no roomcast server") from error
    finally:
        connection.close()


def _page(connection: http.client.HTTPConnection, address: Address, token: str | None, after: str) -> JsonObject:
    target = address.target("/v1/rooms")
    target += f"{'&' if '?' in target else '?'}limit={PAGE}{f'&after={quote(after)}' if after else ''}"
    connection.request("GET", target, headers={"Authorization": f"Bearer {token}"} if token else {})
    response = connection.getresponse()
    body = as_object(orjson.loads(response.read()))
    if response.status == http.client.OK:
        return body
    refused = Refused.from_json(body["error"])
    if response.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise NotAllowed(str(refused), status=response.status) from refused
    raise refused
