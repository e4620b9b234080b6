"""The model server that all gateways of a comparison ask.

It reads of a request only its key, whether to stream, and the last mark in the body, which the
answer repeats: so an answer in a transcript says which message it belongs to. `POST /limit` makes
every key that begins with `limited` answer 429 from then on; `POST /refused` says how many did.

    python -m benchmarks.rivals.model SECONDS      # before each answer; prints its address
"""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from typing import cast

import uvloop

from benchmarks.rivals.marks import LENGTH, NONE, last_mark
from gateway.simulate.answers import Raw, Reply, document, refusal

LIMITED = "limited"
HEALTHY = "healthy"
WORDS = "The answer is made of so many words that a stream of it has a few pieces to show: "
DELTAS = -(-len(WORDS) // LENGTH) + 1
"""Pieces as long as a mark, so that the last one holds a mark whole."""

_LENGTH = re.compile(rb"content-length: *(\d+)")
_STREAM = re.compile(rb'"stream": ?true')


def _bytes(raw: Raw) -> bytes:
    """One HTTP answer with a length known beforehand."""
    body = b"".join(piece for piece in raw.pieces if isinstance(piece, bytes))
    kind = raw.headers["content-type"]
    head = f"HTTP/1.1 {raw.status} -\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _answer(*, stream: bool) -> bytes:
    text = WORDS.ljust((DELTAS - 1) * LENGTH) + NONE
    return _bytes(Reply(text, deltas=DELTAS).render(1, "bench", stream=stream, prompt_chars=400))


@dataclass(slots=True)
class Behaviour:
    """Of all connections."""

    seconds: float = 0.0
    limiting: bool = False
    refused: int = 0


class Model(asyncio.Protocol):
    """One connection."""

    streamed = _answer(stream=True)
    whole = _answer(stream=False)
    refused = _bytes(
        refusal(
            429,
            {
                "message": "Rate limit reached for requests",
                "type": "requests",
                "code": "rate_limit_exceeded",
            },
        )
    )

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._got = bytearray()

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._got[:end]).lower()
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._got) < whole:
                return
            body = bytes(self._got[end + 4 : whole])
            del self._got[:whole]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"post /limit "):
            self._behaviour.limiting = True
            self._write(self.whole)
        elif head.startswith(b"post /refused "):
            self._write(_bytes(document(self._behaviour.refused)))
        elif self._behaviour.limiting and b"bearer " + LIMITED.encode() in head:
            self._behaviour.refused += 1
            self._write(self.refused)
        else:
            answer = self.streamed if _STREAM.search(body) else self.whole
            answer = answer.replace(NONE.encode(), last_mark(body))
            # Even 0 seconds would be a turn of the loop: what answers at once answers here.
            if seconds := self._behaviour.seconds:
                asyncio.get_running_loop().call_later(seconds, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(seconds: float) -> None:
    behaviour = Behaviour(seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Model(behaviour), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(float(sys.argv[1])))
