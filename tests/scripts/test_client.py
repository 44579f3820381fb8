"""Messages of ComfyUI's WebSocket as the client returns them, from a small server."""

import asyncio
import json
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web
from hosting.client import Client, Notice, Preview

Talk = Callable[[web.WebSocketResponse, web.Request], Awaitable[object]]


@contextmanager
def served(talk: Talk) -> Iterator[Client]:
    """A client of a server that runs `talk` for every subscription."""
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []
    ready = threading.Event()

    async def serve() -> None:
        async def page(request: web.Request) -> web.WebSocketResponse:
            assert request.query["clientId"] == "a-page"
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await talk(socket, request)
            return socket

        app = web.Application()
        app.router.add_get("/ws", page)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = asyncio.Event()
        started.append((asyncio.get_running_loop(), stop, runner.addresses[0][1]))
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    loop, stop, port = started[0]
    try:
        yield Client(f"http://127.0.0.1:{port}")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


def described(kind: int, about: bytes, data: bytes) -> bytes:
    """A binary message that carries the length of its description."""
    return struct.pack(">II", kind, len(about)) + about + data


ABOUT = json.dumps({"display_node_id": "7", "image_type": "image/png"}).encode()


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (json.dumps({"type": "status", "data": {}}), {"type": "status", "data": {}}),
        (struct.pack(">II", 1, 1) + b"jpeg", Preview(None, "image/jpeg", b"jpeg")),
        (described(3, b"7", "9 blöcke".encode()), Notice("7", "9 blöcke")),
        (described(4, ABOUT, b"png"), Preview("7", "image/png", b"png")),
        (struct.pack(">II", 99, 0), None),
        (struct.pack(">II", 1, 2) + bytes(300_000), Preview(None, "image/png", bytes(300_000))),
    ],
    ids=["event", "preview", "notice", "preview of a node", "unknown", "large"],
)
def test_each_kind_of_message_is_parsed(sent: str | bytes, received: object) -> None:
    async def talk(socket: web.WebSocketResponse, request: web.Request) -> None:
        await (socket.send_str(sent) if isinstance(sent, str) else socket.send_bytes(sent))
        await socket.receive()

    with served(talk) as client:
        subscription = client.subscribe("a-page")
        assert subscription.receive(30) == received
        subscription.close()


def test_a_message_can_be_awaited_again_after_a_timeout() -> None:
    async def talk(socket: web.WebSocketResponse, request: web.Request) -> None:
        asked = await socket.receive_json()
        await socket.send_json({"type": "answer", "data": asked})
        await socket.receive()

    with served(talk) as client:
        subscription = client.subscribe("a-page")
        for seconds in (0, 0.01):
            with pytest.raises(TimeoutError):
                subscription.receive(seconds)
        subscription.send({"question": "á"})
        assert subscription.receive(30) == {"type": "answer", "data": {"question": "á"}}
        subscription.close()


async def close(socket: web.WebSocketResponse, request: web.Request) -> None:
    """Ends the connection by the protocol."""
    await socket.close()


async def vanish(socket: web.WebSocketResponse, request: web.Request) -> None:
    """Ends the connection as a process that is killed does."""
    request.transport.abort()


@pytest.mark.parametrize("talk", [close, vanish])
def test_the_end_of_a_connection_is_an_error(talk: Talk) -> None:
    with served(talk) as client:
        subscription = client.subscribe("a-page")
        with pytest.raises(ConnectionError):
            subscription.receive(30)
        subscription.close()
