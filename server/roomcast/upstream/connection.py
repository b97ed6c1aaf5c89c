"""The one HTTP client to the model service: ask, read bytes, hang up.

    async with service.ask("responses", body) as reply:     # UpstreamError on entry
        async for chunk in reply.chunks: …                  # VENDOR_ERRORS, to be translated

The real `openai` client makes the request (address, key, headers, TLS, proxies); we take the
answer's raw bytes from it. Its own stream decodes twice as slowly, has no bound on a line,
and unpacks whatever it is told to unpack.

Invariants
    C1  One request is one HTTP request: no retry, no redirect. Deadlines are the runner's; only
        connecting, writing and waiting for a place in the pool are limited here.
    C2  Leaving the context closes the connection, at once and at most `HANG_UP_S` later, also
        when the peer hangs and when the task is cancelled. Only an answer that was read to its
        end leaves a connection to use again.
    C3  Of an error's body at most `ERROR_BODY_BYTES` are read, for at most `ERROR_BODY_S`; no
        body is ever decompressed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import httpx2
import openai
import orjson

from roomcast.core.events import JsonObject
from roomcast.core.settings import Secret, UpstreamSettings
from roomcast.upstream.errors import VENDOR_ERRORS, bad_response, from_status, from_vendor
from roomcast.upstream.payload import BadPayload, mend, parse_object

__all__ = ["ModelService", "Reply"]

HANG_UP_S: Final = 0.5
"""Closing takes no time: the transport aborts. This is for what we do not know."""

DRAIN_S: Final = 0.1
"""How long a complete answer may take to end properly, so that its connection can be used again."""

ERROR_BODY_BYTES: Final = 64 * 1024
ERROR_BODY_S: Final = 2.0
WRITE_S: Final = 30.0
POOL_S: Final = 5.0
KEEPALIVE_CONNECTIONS: Final = 20
KEEPALIVE_S: Final = 15.0
"""Below what servers and balancers usually grant, so that rarely both ends give up at once."""

_NO_KEY: Final = "none"
"""The client insists on a key; servers that need none ignore it."""

_HEADERS: Final = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}


class Reply:
    """An answer with a good status, not read yet.

    Attributes:
        chunks: Its body as it arrives, at most 64 KiB at a time.
        complete: Set it when everything of interest was read: the rest may be waited for a moment.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self.chunks: AsyncGenerator[bytes] = response.aiter_raw()
        self.complete = False
        self._response = response

    async def hang_up(self) -> None:
        """Close the connection, or give it back if the answer is at its end."""
        if self.complete:
            with anyio.move_on_after(DRAIN_S, shield=True):
                try:
                    async for _ in self.chunks:
                        pass
                except VENDOR_ERRORS:
                    pass  # it was complete for us
        with anyio.move_on_after(HANG_UP_S, shield=True):
            await self.chunks.aclose()
            await self._response.aclose()


class ModelService:
    """A model service behind one address.

    Args:
        settings: Timeouts, organization and project.
        base_url: Where it is; None means the vendor's own address.
        api_key: What it wants to see; None where nothing is wanted.
        direct: Never go through a proxy, whatever the environment says (for a loopback address).
        max_connections: Most connections at one time.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        *,
        base_url: str | None,
        api_key: Secret | None,
        direct: bool,
        max_connections: int,
    ) -> None:
        timeout = httpx2.Timeout(connect=settings.connect_timeout_s, read=None, write=WRITE_S, pool=POOL_S)
        self._http = httpx2.AsyncClient(
            timeout=timeout,
            limits=httpx2.Limits(
                max_connections=max_connections,
                max_keepalive_connections=KEEPALIVE_CONNECTIONS,
                keepalive_expiry=KEEPALIVE_S,
            ),
            follow_redirects=False,
            trust_env=not direct,
            event_hooks={"response": [_refuse]},
        )
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=(api_key.value.strip() if api_key else "") or _NO_KEY,
            organization=settings.organization,
            project=settings.project,
            timeout=timeout,
            max_retries=0,
            http_client=self._http,
        )

    @property
    def host(self) -> str:
        """Where requests go, without path and credentials."""
        return self._client.base_url.host

    @asynccontextmanager
    async def ask(self, path: str, body: JsonObject) -> AsyncGenerator[Reply]:
        """Post `body` and hold the answer.

        Raises:
            UpstreamError: No answer, a status of 300 or more, or a body that is packed.
        """
        try:
            # Asked for this type, the client hands out the answer as it is, unread.
            response = await self._client.post(
                f"/{path}",
                cast_to=httpx2.Response,
                content=_encoded(body),
                options={"headers": _HEADERS},
                stream=True,
            )
        except VENDOR_ERRORS as error:
            raise from_vendor(error) from None
        reply = Reply(response)
        try:
            if response.headers.get("content-encoding", "identity") not in ("", "identity"):
                raise bad_response("a packed answer, which we did not ask for")
            yield reply
        finally:
            await reply.hang_up()

    async def rehearse(self, answer: bytes) -> None:
        """Go through the client's first request, which is slow, without a network: `answer` is the answer."""
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=answer))
        async with httpx2.AsyncClient(transport=transport) as http:
            client = self._client.with_options(http_client=http)
            await client.post("/", cast_to=httpx2.Response, content=b"{}", options={"headers": _HEADERS}, stream=True)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def _encoded(body: JsonObject) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        # Half a surrogate pair in the conversation or the configuration must not make it unanswerable.
        return orjson.dumps(mend(body))


async def _refuse(response: httpx2.Response) -> None:
    """Turn a bad status into our error, before the client would read its body without a bound."""
    if response.status_code < 300:
        return
    body = bytearray()
    with anyio.move_on_after(ERROR_BODY_S):
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > ERROR_BODY_BYTES:
                    break
        except VENDOR_ERRORS:
            pass  # the status says enough
    raise from_status(response.status_code, response.headers, _error_in(bytes(body))) from None


def _error_in(body: bytes) -> object:
    try:
        answer, _ = parse_object(body)
    except BadPayload:
        return None
    return answer.get("error", answer)
