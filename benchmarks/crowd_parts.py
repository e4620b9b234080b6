"""The processes beside the gateway in `benchmarks.crowd`: a slow model server, a bare client, and
one that floods.

The server answers each request after a time, in pieces at an even pace; the bare client holds as
many calls as there are chats, and reads each stream to its end, as the `openai` package does it.
One that floods sends all of its messages at once, and again what is refused: apart from those whose
answers it delays, so that what they wait for is the gateway.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import cast

import uvloop
from openai import AsyncOpenAI

from benchmarks.crowd import Client
from gateway.simulate.answers import Reply

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def words(pieces: int) -> str:
    """An answer of so many tokens of text."""
    return " ".join(f"w{number:03}" for number in range(pieces))


def _frames(pieces: int) -> list[bytes]:
    reply = Reply(words(pieces), deltas=pieces)
    rendered = reply.render(1, "bench", stream=True, prompt_chars=400).pieces
    found = [b"%x\r\n%b\r\n" % (len(each), each) for each in rendered if isinstance(each, bytes)]
    return [*found[:-1], found[-1] + b"0\r\n\r\n"]


class _Slow(asyncio.Protocol):
    """One connection: a request is answered over `seconds`, piece by piece."""

    frames: list[bytes]
    seconds: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._loop = asyncio.get_running_loop()
        self._got = bytearray()

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._got[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._got) < end + 4 + length:
            return
        del self._got[: end + 4 + length]
        self._transport.write(HEAD)
        self._loop.call_later(self.seconds / len(self.frames), self._next, 0)

    def _next(self, place: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(self.frames[place])
        if place + 1 < len(self.frames):
            self._loop.call_later(self.seconds / len(self.frames), self._next, place + 1)


async def _serve(seconds: float, pieces: int) -> None:
    _Slow.frames, _Slow.seconds = _frames(pieces), seconds
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Slow, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _bare(url: str, chats: int, turns: int) -> list[float]:
    """Seconds of each call, the first of every chat left out; then of the whole."""
    client = AsyncOpenAI(base_url=url, api_key="bench", max_retries=0, timeout=120)
    took: list[float] = []

    async def converse(count: int) -> None:
        for number in range(count):
            began = time.perf_counter()
            stream = await client.chat.completions.create(
                model="bench",
                messages=[{"role": "user", "content": f"question {number}"}],
                stream=True,
            )
            async for _ in stream:
                pass
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(converse(1) for _ in range(chats)))
    took.clear()
    began = time.perf_counter()
    await asyncio.gather(*(converse(turns) for _ in range(chats)))
    return [*took, time.perf_counter() - began]


async def _flood(address: str, token: str, messages: int) -> None:
    client = await Client.open(address, token)
    sys.stdout.write("floods\n")
    sys.stdout.flush()
    await asyncio.gather(*(client.send(f"f{number}") for number in range(messages)))


def main() -> None:
    """`upstream SECONDS PIECES`, `bare URL CHATS TURNS`, `flood URL TOKEN MESSAGES`; all speak on
    stdout."""
    if sys.argv[1] == "flood":
        uvloop.run(_flood(sys.argv[2], sys.argv[3], int(sys.argv[4])))
        return
    if sys.argv[1] == "upstream":
        uvloop.run(_serve(float(sys.argv[2]), int(sys.argv[3])))
        return
    url, chats, turns = sys.argv[2:]
    found = uvloop.run(_bare(url, int(chats), int(turns)))
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
