"""The client's half of RFC 6455 against a server of a few lines."""

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hosting.websocket import WebSocket

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes, final: bool = True) -> bytes:
    length = len(payload)
    if length < 126:
        size = bytes([length])
    elif length < 1 << 16:
        size = b"\x7e" + struct.pack(">H", length)
    else:
        size = b"\x7f" + struct.pack(">Q", length)
    return bytes([opcode | (0x80 if final else 0)]) + size + payload


@contextmanager
def served(talk: Callable[[socket.socket], None], status: str = "101 OK") -> Iterator[int]:
    """A server that shakes hands once and then does `talk`; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(4096)
                key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
                accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
                answer = f"HTTP/1.1 {status}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                connection.sendall(answer.encode())
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 300_000])
def test_messages_of_every_size_arrive(size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    with served(lambda c: c.sendall(frame(2, payload))) as port:
        socket_ = WebSocket("127.0.0.1", port, "/ws")
        assert socket_.receive(5) == payload
        socket_.close()


def test_fragments_and_pings_between_them_become_one_text() -> None:
    received = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(frame(1, b"caus", False) + frame(9, b"?") + frame(0, "ál".encode()))
        received.append(connection.recv(100))

    with served(talk) as port:
        socket_ = WebSocket("127.0.0.1", port, "/ws")
        assert socket_.receive(5) == "causál"
    assert received[0][0] == 0x8A and received[0][1] == 0x81  # a masked pong of one byte
    socket_.close()


def test_half_a_message_survives_a_timeout() -> None:
    go = threading.Event()

    def talk(connection: socket.socket) -> None:
        whole = frame(1, b"slow message")
        connection.sendall(whole[:5])
        go.wait(5)
        connection.sendall(whole[5:])

    with served(talk) as port:
        socket_ = WebSocket("127.0.0.1", port, "/ws")
        with pytest.raises(TimeoutError):
            socket_.receive(0.1)
        go.set()
        assert socket_.receive(5) == "slow message"
        socket_.close()


def test_sent_text_is_masked() -> None:
    received = []
    with served(lambda c: received.append(c.recv(100))) as port:
        socket_ = WebSocket("127.0.0.1", port, "/ws")
        socket_.send("hello")
    data = received[0]
    mask, body = data[2:6], data[6:]
    assert data[:2] == bytes([0x81, 0x85])
    assert bytes(b ^ mask[i % 4] for i, b in enumerate(body)) == b"hello"
    socket_.close()


def test_the_end_of_a_connection_is_an_error() -> None:
    with served(lambda c: c.sendall(frame(8, b""))) as port:
        socket_ = WebSocket("127.0.0.1", port, "/ws")
        with pytest.raises(ConnectionError, match="closed"):
            socket_.receive(5)
        socket_.close()
    with served(lambda c: None, status="403 Forbidden") as port:
        with pytest.raises(ConnectionError, match="403"):
            WebSocket("127.0.0.1", port, "/ws")
