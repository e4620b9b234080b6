"""A peer that sends whatever bytes it likes, and reads when it likes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

KEY = "dGhlIHNhbXBsZSBub25jZQ=="

TEXT, BINARY, CONT, CLOSE, PING = 1, 2, 0, 8, 9


@dataclass
class Answer:
    """An HTTP answer, or what came instead of one."""

    status: int
    head: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def frame(
    payload: bytes = b"", *, opcode: int = TEXT, fin: bool = True, rsv: int = 0, mask: bool = True
) -> bytes:
    """A client's frame; the masking key is zero, which leaves the payload readable."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(payload))
    return head + (bytes(4) if mask else b"") + payload


class Peer:
    """One TCP connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Hand bytes to the kernel, or to a buffer while the gateway does not read."""
        self.writer.write(data)

    def request(self, line: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> None:
        """An HTTP request with exactly these headers."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.send(f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)

    def open_socket(
        self, netloc: str, *headers: tuple[str, str], path: str = "/ws", key: str = KEY
    ) -> None:
        """The request of a WebSocket handshake; a `Host` among the headers replaces the usual."""
        names = {name.lower() for name, _ in headers}
        host = [] if "host" in names else [("Host", netloc)]
        self.request(
            f"GET {path}",
            [
                *host,
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", key),
                *headers,
            ],
        )

    async def answer(self) -> Answer:
        """The next HTTP answer; status 0 when the gateway closed without one."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError):
            return Answer(0, "", b"")
        length = 0
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        return Answer(int(head.split(" ", 2)[1]), head, await self.reader.readexactly(length))

    async def opened(self, netloc: str, *headers: tuple[str, str]) -> None:
        """Open a WebSocket, which must succeed."""
        self.open_socket(netloc, *headers)
        answer = await self.answer()
        assert answer.status == 101, answer

    async def message(self) -> tuple[int, bytes]:
        """The next frame: its opcode and payload."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    async def close_code(self) -> int | None:
        """The code with which the gateway closes, skipping what comes before; None: just gone."""
        try:
            while True:
                opcode, payload = await self.message()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def gone(self) -> None:
        """Wait until the gateway has ended the connection, reading and dropping what it says."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def abort(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def peer(
    port: int, *, receive_buffer: int = 0, trust: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    """Connect; the connection is cut at the end.

    With `receive_buffer` nothing is read until asked for, and the kernel holds little; with `trust`
    it speaks TLS.
    """
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(
        sock=sock,
        limit=4096 if receive_buffer else 2**22,
        ssl=trust,
        server_hostname="127.0.0.1" if trust else None,
    )
    made = Peer(reader, writer)
    try:
        yield made
    finally:
        made.abort()
