"""A WebSocket client (RFC 6455) in the standard library: text and binary, no extensions."""

import base64
import os
import socket
import struct
import time

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class WebSocket:
    """A connection to ws://host:port/path. `receive` keeps half a message across a timeout."""

    def __init__(self, host: str, port: int, path: str, timeout: float = 10.0) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._buffer = bytearray()
        self._parts = bytearray()
        self._kind = TEXT
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        deadline = time.monotonic() + timeout
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._read_more(deadline)
        status = bytes(self._buffer).split(b"\r\n", 1)[0].decode()
        del self._buffer[: end + 4]
        if " 101 " not in status:
            self._socket.close()
            raise ConnectionError(f"The server refused a websocket: {status}")

    def send(self, text: str) -> None:
        self._send_frame(TEXT, text.encode())

    def receive(self, timeout: float) -> str | bytes:
        """The next message. Raises TimeoutError, or ConnectionError when the other side closes."""
        deadline = time.monotonic() + timeout
        while True:
            final, opcode, payload = self._read_frame(deadline)
            if opcode == PING:
                self._send_frame(PONG, payload)
            elif opcode == CLOSE:
                raise ConnectionError("The server closed the websocket.")
            elif opcode in (CONTINUATION, TEXT, BINARY):
                self._kind = opcode or self._kind
                self._parts += payload
                if final:
                    message = bytes(self._parts)
                    self._parts.clear()
                    return message.decode() if self._kind == TEXT else message

    def close(self) -> None:
        try:
            self._send_frame(CLOSE, b"")
        except OSError:
            pass  # the other side is gone already
        self._socket.close()

    def _read_frame(self, deadline: float) -> tuple[bool, int, bytes]:
        header = self._peek(2, deadline)
        start, length = 2, header[1] & 0x7F
        if length == 126:
            start, length = 4, struct.unpack(">H", self._peek(4, deadline)[2:])[0]
        elif length == 127:
            start, length = 10, struct.unpack(">Q", self._peek(10, deadline)[2:])[0]
        payload = self._peek(start + length, deadline)[start:]
        del self._buffer[: start + length]
        return bool(header[0] & 0x80), header[0] & 0x0F, payload

    def _peek(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            self._read_more(deadline)
        return bytes(self._buffer[:count])

    def _read_more(self, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("No message arrived in time.")
        self._socket.settimeout(remaining)
        received = self._socket.recv(1 << 16)
        if not received:
            raise ConnectionError("The server ended the connection.")
        self._buffer += received

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        length = len(payload)
        if length < 126:
            header = struct.pack(">BB", 0x80 | opcode, 0x80 | length)
        elif length < 1 << 16:
            header = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            header = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, length)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._socket.sendall(header + mask + masked)
