"""Tests of roomcast/client/link.py, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from roomcast.client.address import Address
from roomcast.client.comeback import LinkLost
from roomcast.client.link import Link, open_link
from tests.client.scripted import Peer, Script, scripted

pytestmark = pytest.mark.anyio


async def lost_by(*scripts: Script) -> LinkLost:
    """How the connection ends when the server plays these."""
    async with scripted(*scripts) as server:
        try:
            async with open_link(Address.parse(server.url), {}, {}) as link:
                while True:
                    await link.receive()
        except LinkLost as lost:
            return lost


async def test_objects_come_in_and_frames_go_out_as_text() -> None:
    async def echo(peer: Peer) -> None:
        await peer.say(await peer.receive())
        await peer.gone()

    async with scripted(echo) as server, open_link(Address.parse(server.url), {}, {}) as link:
        await link.send(b'{"type":"session.ping"}')
        assert await link.receive() == {"type": "session.ping"}


async def test_headers_query_and_subprotocol_reach_the_server() -> None:
    seen = list[str]()

    async def look(peer: Peer) -> None:
        seen.extend([peer.path, peer.headers["Authorization"], peer.headers["Sec-WebSocket-Protocol"]])

    async with scripted(look) as server:
        headers, query = {"Authorization": "Bearer t"}, {"member": "ada", "name": None}
        async with open_link(Address.parse(server.url), headers, query) as link:
            with pytest.raises(LinkLost):
                await link.receive()
    assert seen == ["/v1/ws?member=ada", "Bearer t", "roomcast.v1"]


@pytest.mark.parametrize("code", [1001, 1012, 1013, 4400, 4401, 4403, 4408, 4429])
async def test_a_close_is_a_loss_with_its_code_and_reason(code: int) -> None:
    async def close(peer: Peer) -> None:
        await peer.close(code, "because")

    loss = (await lost_by(close)).loss
    assert (loss.close_code, loss.reason) == (code, "because")


async def test_a_cut_is_a_loss_without_a_code() -> None:
    async def cut(peer: Peer) -> None:
        peer.cut()

    assert (await lost_by(cut)).loss.close_code is None


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
async def test_a_refused_handshake_is_a_loss_with_its_status(status: int) -> None:
    assert (await lost_by(status)).loss.status == status


@pytest.mark.parametrize("text", ["no json", "[1]", "null", "{}"])
async def test_what_is_no_object_is_a_loss(text: str) -> None:
    async def babble(peer: Peer) -> None:
        await peer.say_raw(text)
        await peer.gone()

    assert "the server sent something that is not" in str(await lost_by(babble))


async def test_an_address_where_nobody_listens_is_a_loss_that_names_it() -> None:
    with socket.socket() as taken:  # bound and not listening, so that nobody else can be there
        taken.bind(("127.0.0.1", 0))
        address = Address.parse(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(LinkLost, match=f"cannot reach {address}") as caught:
            async with open_link(address, {}, {}):
                pass
    assert caught.value.loss.status is None


@asynccontextmanager
async def listening(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncGenerator[Address]:
    """A server that is no WebSocket server, or a bad one."""
    async with anyio.create_task_group() as tasks, await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        serving = anyio.CancelScope()

        async def serve() -> None:
            with serving:
                await listener.serve(handle)

        tasks.start_soon(serve)
        with anyio.fail_after(60):
            yield Address.parse(f"http://127.0.0.1:{port}")
        serving.cancel()
        await anyio.wait_all_tasks_blocked()


async def test_a_server_that_speaks_something_else_is_a_loss() -> None:
    async def secure_shell(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"SSH-2.0-OpenSSH\r\n")

    async with listening(secure_shell) as address:
        with pytest.raises(LinkLost, match="cannot reach"):
            async with open_link(address, {}, {}):
                pass


async def test_leaving_says_goodbye_to_a_server_that_listens() -> None:
    async def stay(peer: Peer) -> None:
        await peer.gone()

    async with scripted(stay) as server, open_link(Address.parse(server.url), {}, {}) as link:
        assert isinstance(link, Link)


async def test_leaving_in_the_middle_of_a_flood_takes_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast.client.link.CLOSE_TIMEOUT_S", 120.0)

    async def flood(peer: Peer) -> None:
        await peer.say(*({"type": "x", "text": "x" * 1_000} for _ in range(2_000)))
        await peer.gone()

    async with scripted(flood) as server:
        async with open_link(Address.parse(server.url), {}, {}) as link:
            await link.receive()
            left_at = anyio.current_time()
        assert anyio.current_time() - left_at < 60


async def test_leaving_a_server_that_never_says_goodbye_takes_two_seconds_at_most() -> None:
    async def deaf(stream: SocketStream) -> None:
        async with stream:
            key = (await stream.receive()).decode().split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
            await stream.send(upgrade(key))
            await anyio.sleep_forever()

    async with listening(deaf) as address:
        with anyio.fail_after(9):  # a busy machine adds to the two; the library alone would take ten
            async with open_link(address, {}, {}):
                pass


async def test_leaving_a_server_that_stopped_reading_frees_the_socket() -> None:
    """The library alone would go on writing when the server reads again."""
    left, frame = threading.Event(), b" " * 32_000_000  # more than the buffers of two sockets hold

    def stopped(listener: socket.socket) -> int:
        """Read nothing before the client has left; give how much there is to read then."""
        peer, _ = listener.accept()
        with peer:
            key = peer.recv(4_096).decode().split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
            peer.sendall(upgrade(key))
            left.wait(60)
            with suppress(ConnectionResetError):
                return sum(len(data) for data in iter(lambda: peer.recv(1 << 20), b""))
            return 0

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        received = thread.submit(stopped, listener)
        with anyio.fail_after(60):
            async with open_link(Address.parse(f"http://127.0.0.1:{listener.getsockname()[1]}"), {}, {}) as link:
                with anyio.move_on_after(0.1):
                    await link.send(frame)
        left.set()
        assert await anyio.to_thread.run_sync(received.result, 60) < len(frame)


def upgrade(key: str) -> bytes:
    """The answer that makes a connection a WebSocket (RFC 6455, section 4.2.2)."""
    accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join(
        [*lines, f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: roomcast.v1", "", ""]
    ).encode()
