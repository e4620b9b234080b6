"""What the HTTP below a model call costs: our transport beside the one `httpx2` brings.

The same client, request and server, which is a process of its own; only the transport differs. The
two take turns, CPU is that of this process, and the best round counts, because what other programs
take only adds.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time

import httpx2
import uvloop

from agents.models.upstream_transport import UpstreamTransport
from benchmarks.tables import Aim, Found, Progress, Table
from benchmarks.whole import upstream
from benchmarks.whole_parts import SYSTEM

ROUNDS = 5
CALLS = 480
AT_ONCE = (1, 16)
AIM = 0.4
"""Share of the other transport's CPU; a client with its own parser in C takes 0.4."""

BODY = json.dumps({"messages": [{"role": "system", "content": SYSTEM}] * 4}).encode()


def measure(say: Progress) -> Found:
    """Both transports, one call after the other and several at once."""
    rows: list[tuple[str, int, float, float]] = []
    aims: list[Aim] = []
    with upstream() as url:
        for at_once in AT_ONCE:
            say(f"upstream: {ROUNDS} rounds of {CALLS} streamed answers, {at_once} at once")
            theirs, ours = uvloop.run(_measured(url, at_once))
            rows.append(("httpx2's transport", at_once, round(theirs, 3), 1.0))
            rows.append(("ours", at_once, round(ours, 3), round(ours / theirs, 2)))
            aims.append(Aim(f"our transport ÷ httpx2's, {at_once} at once", ours / theirs, AIM, ""))
    title = "HTTP of one streamed model call"
    return [Table(title, ("", "at once", "CPU ms", "ratio"), rows, f"Best of {ROUNDS}."), *aims]


async def _measured(url: str, at_once: int) -> tuple[float, float]:
    ours = UpstreamTransport(ssl.create_default_context(), max_connections=64, max_idle=16)
    theirs = httpx2.AsyncHTTPTransport(trust_env=False)
    best = [float("inf"), float("inf")]
    async with _client(theirs) as their_client, _client(ours) as our_client:
        for _ in range(ROUNDS):
            for place, client in enumerate((their_client, our_client)):
                best[place] = min(best[place], await _cpu_ms(client, url, at_once))
    return best[0], best[1]


def _client(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=transport, trust_env=False)


async def _cpu_ms(client: httpx2.AsyncClient, url: str, at_once: int) -> float:
    """CPU of one call."""

    async def call() -> None:
        for _ in range(CALLS // at_once):
            async with client.stream("POST", f"{url}/chat/completions", content=BODY) as response:
                whole = b"".join([piece async for piece in response.aiter_raw()])
            if not whole.endswith(b"[DONE]\n\n"):
                raise SystemExit("an answer came incomplete")

    began = time.process_time()
    await asyncio.gather(*(call() for _ in range(at_once)))
    return (time.process_time() - began) / CALLS * 1000
