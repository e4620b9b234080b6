"""A door in front of a real gateway that spoils what passes: a server that breaks one rule.

It reads one request a connection. With `Flaw()` nothing is changed, so what a check says of a
flawed door is said of the flaw.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

TEXT, BINARY, CLOSE = 1, 2, 8


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is changed on the way; None for a frame loses it.

    `head` is a request's, `heard` a message to the server (with its opcode), `said` one to the
    client, `status` an HTTP status and `code` a close code.
    """

    head: Callable[[bytes], bytes] = lambda head: head
    heard: Callable[[str, int], str | None] = lambda text, _: text
    said: Callable[[str], str | None] = lambda text: text
    status: Callable[[int], int] = lambda status: status
    code: Callable[[int], int] = lambda code: code


class Door:
    """Passes connections on to the gateway at `port`."""

    def __init__(self, port: int, flaw: Flaw) -> None:
        self._port = port
        self._flaw = flaw
        self._own = b""

    async def open(self) -> tuple[asyncio.Server, str]:
        """The listening server and its address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self._own = f"Host: 127.0.0.1:{port}\r\n".encode().lower()
        return server, f"http://127.0.0.1:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, thence = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        # A client that hangs up is no failure of the door.
        with suppress(OSError, asyncio.IncompleteReadError):
            await self._exchange(reader, writer, there, thence)
        for end in (writer, thence):
            end.close()
            with suppress(OSError):
                await end.wait_closed()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        thence: asyncio.StreamWriter,
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        thence.write(self._flaw.head(self._renamed(head)) + body)
        answer = await there.readuntil(b"\r\n\r\n")
        if b" 101 " in answer.split(b"\r\n", 1)[0]:
            writer.write(answer)
            async with asyncio.TaskGroup() as group:
                inward = group.create_task(self._pass(reader, thence, self._inward))
                await self._pass(there, writer, self._outward)
                inward.cancel()
            return
        found = await there.readexactly(_length(answer))
        status = self._flaw.status(int(answer.split(b" ", 2)[1]))
        said = (self._flaw.said(found.decode()) or "").encode() if _is_rpc(head) else found
        kind = b"content-type: application/json\r\n" if said else b""
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(said)
        writer.write(b"HTTP/1.1 %d Flawed\r\n" % status + kind + length + said)
        await writer.drain()

    def _renamed(self, head: bytes) -> bytes:
        """Its own name means the gateway's; other names stay."""
        at = head.lower().find(self._own)
        here = f"Host: 127.0.0.1:{self._port}\r\n".encode()
        return head if at < 0 else head[:at] + here + head[at + len(self._own) :]

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        change: Callable[[int, bytes], bytes],
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                opcode, payload = await _frame(reader)
                writer.write(change(opcode, payload))
                await writer.drain()
        writer.close()

    def _inward(self, opcode: int, payload: bytes) -> bytes:
        if opcode not in (TEXT, BINARY):
            return _written(opcode, payload, masked=True)
        text = self._flaw.heard(payload.decode(errors="surrogateescape"), opcode)
        if text is None:
            return b""
        return _written(opcode, text.encode(errors="surrogateescape"), masked=True)

    def _outward(self, opcode: int, payload: bytes) -> bytes:
        if opcode == CLOSE and payload:
            (code,) = struct.unpack_from("!H", payload)
            return _written(CLOSE, struct.pack("!H", self._flaw.code(code)) + payload[2:])
        if opcode != TEXT:
            return _written(opcode, payload)
        text = self._flaw.said(payload.decode())
        return b"" if text is None else _written(TEXT, text.encode())


@asynccontextmanager
async def flawed(port: int, flaw: Flaw) -> AsyncIterator[str]:
    """The address of a door for the length of the block."""
    server, url = await Door(port, flaw).open()
    async with server:
        yield url


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def _is_rpc(head: bytes) -> bool:
    return head.startswith(b"POST /rpc")


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", await reader.readexactly(8))
    key = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(length)
    if key:
        repeated = (key * (length // 4 + 1))[:length]
        payload = (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(length)
    return first & 0x0F, payload


def _written(opcode: int, payload: bytes, *, masked: bool = False) -> bytes:
    mask = 0x80 if masked else 0
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, mask | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, mask | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, mask | 127, length)
    return head + (bytes(4) if masked else b"") + payload
