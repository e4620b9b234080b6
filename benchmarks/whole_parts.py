"""The processes beside the gateway in `benchmarks.whole`: an upstream, and the bare client.

The upstream is no `turngate simulate`: that one parses and renders with care, takes longer than the
client it answers, and would be what is measured. This one knows the one answer and looks for the
end of a request, no more. The bare client is the `openai` package as its own page shows it, on the
same event loop as the gateway, with the tools and the growing conversation a turn sends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any, cast

import uvloop
from openai import AsyncOpenAI

from gateway.simulate.answers import Reply

WORDS = "The answer is made of so many words that a stream of it has a few pieces to show."
DELTAS = 16
"""Pieces of text a model call streams."""
SYSTEM = "You are main, an agent of turngate. Answer shortly and to the point. " * 8


def _answer() -> bytes:
    pieces = Reply(WORDS, deltas=DELTAS).render(1, "bench", stream=True, prompt_chars=400).pieces
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunks = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if isinstance(piece, bytes))
    return head + b"".join(chunks) + b"0\r\n\r\n"


class _Upstream(asyncio.Protocol):
    answer = _answer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._got = bytearray()

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._got[:end]).lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._got) < end + 4 + length:
                return
            del self._got[: end + 4 + length]
            self._transport.write(self.answer)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Upstream, "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _bare(url: str, sessions: int, turns: int, tools: list[Any]) -> dict[str, float]:
    client = AsyncOpenAI(base_url=url, api_key="bench", max_retries=0)

    async def converse(count: int) -> None:
        messages: list[Any] = [{"role": "system", "content": SYSTEM}]
        for number in range(count):
            messages.append({"role": "user", "content": f"question {number}"})
            stream = await client.chat.completions.create(
                model="bench",
                messages=messages,
                tools=tools,
                stream=True,
                stream_options={"include_usage": True},
            )
            text = ""
            async for chunk in stream:
                if chunk.choices:
                    text += chunk.choices[0].delta.content or ""
            assert text == WORDS, text
            messages.append({"role": "assistant", "content": text})

    await asyncio.gather(*(converse(1) for _ in range(sessions)))
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(converse(turns) for _ in range(sessions)))
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    await client.close()
    calls = sessions * turns
    return {"per_s": calls / wall, "cpu_ms": used / calls * 1000}


def main() -> None:
    """`upstream`, or `bare URL SESSIONS TURNS TOOLS`; both speak on stdout."""
    if sys.argv[1] == "upstream":
        uvloop.run(_serve())
        return
    url, sessions, turns, tools = sys.argv[2:]
    found = uvloop.run(_bare(url, int(sessions), int(turns), json.loads(tools)))
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
