"""A crowd in a process of its own: `python -m tests.security.crowd URL TOKEN METHOD SOCKETS`.

Opens so many WebSockets and asks over all of them as fast as they take it, reading what comes.
Messages of `turns.start` come from many peers: one would fill its own mailbox and no more.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.security.raw import frame

PEERS = 300


async def flood(url: str, token: str, message: bytes) -> None:
    host = url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")

    async def read() -> None:
        while await reader.read(1 << 16):
            pass

    async def write() -> None:
        while True:
            writer.write(message)
            await writer.drain()

    await asyncio.gather(read(), write())


def requests(method: str) -> bytes:
    if method != "turns.start":
        return request(method) * 20
    return b"".join(request(method, text="hello", peer_id=f"p{each}") for each in range(PEERS))


def request(method: str, **params: str) -> bytes:
    said = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return frame(json.dumps(said).encode())


async def main(url: str, token: str, method: str, sockets: int) -> None:
    message = requests(method)
    async with asyncio.TaskGroup() as group:
        for _ in range(sockets):
            group.create_task(flood(url, token, message))
        sys.stdout.write("floods\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
