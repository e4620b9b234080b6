"""Measures each gateway in turn, on the same machine and beside the same model server.

Rates and CPU: 64 chats of one client at once, each with a turn before that does not count, for some
seconds; the answers are checked. CPU is what the kernel counts for all processes of the gateway.
Latency: one chat, one message after the other. Memory: after that. Kills: a home of its own for
each, so that no gateway's care for starts that fail again and again gets in; then a start, time to
recover, and a look into the transcripts. Keys: the first begins to answer 429 after a first turn.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvloop
from websockets.exceptions import ConnectionClosed

from benchmarks.processes import started
from benchmarks.rivals.base import Client, Gateway, NoAnswer, Place
from benchmarks.rivals.instances import Instance, free_port, running
from benchmarks.rivals.marks import Survival, mark, survived
from benchmarks.rivals.model import HEALTHY, LIMITED
from benchmarks.rivals.nanobot import Nanobot
from benchmarks.rivals.openclaw import OpenClaw
from benchmarks.rivals.ours import Turngate
from benchmarks.rivals.report import Figures, tables
from benchmarks.tables import Found, Progress
from gateway.settings.settings import load_settings

GATEWAYS: tuple[Gateway, ...] = (Turngate(), Nanobot(), OpenClaw())

CHATS = 64
LOAD_S = 10.0
LATENCY_TURNS = 20
LATENCY_S = 10.0
"""At most; a slow one makes fewer turns."""
KILLS = 20
KILLING_S = 90.0
"""No new kill after that; a slow one is killed less often."""
MESSAGES = 6
"""Said at once before a kill, each in a chat of its own."""
MODEL_S = 0.5
"""What an answer takes while messages are in: a kill lands before, in and after it."""
KILL_WITHIN_S = 1.0
"""Of the first acknowledgement."""
RECOVER_S = 20.0
"""After a start; OpenClaw's pages say that it resumes a few seconds after one."""
LOOK_AGAIN_S = 1.0
SEEN_AGAIN_S = 2.0
"""Once all are answered: time for a second answer."""
FAILOVER_S = 45.0
TURN_S = 300.0
"""For an answer that has to come: OpenClaw's first 64 take 20 s, minutes on a busy machine."""
SEED = 7

_numbers = itertools.count(1)


def measure(say: Progress, only: Sequence[str] = ()) -> Found:
    """All of them, or those that are named; the first of them is what the others are compared to.

    Raises `SystemExit` for a name that is none."""
    known = {each.name: each for each in GATEWAYS}
    if unknown := [name for name in only if name not in known]:
        raise SystemExit(f"no gateway {unknown[0]!r}; there is {', '.join(known)}")
    chosen = [each for each in GATEWAYS if not only or each.name in only]
    cache = load_settings().cache / "rivals"
    for each in chosen:
        say(f"rivals: {each.name} {each.version} into {cache}, unless it is there")
        each.install(cache)
    return [*tables([_figures(each, say) for each in chosen], CHATS, FAILOVER_S)]


def _figures(gateway: Gateway, say: Progress) -> Figures:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return uvloop.run(_measured(gateway, Path(folder), say))


async def _measured(gateway: Gateway, folder: Path, say: Progress) -> Figures:
    starts: list[float] = []
    with started("benchmarks.rivals.model", "0") as (model, _):
        say(f"rivals: {gateway.name}, {CHATS} chats for {LOAD_S:g} s, then one")
        async with running(gateway, _place(folder / "load", model)) as instance:
            starts.append(instance.ready_s)
            per_s, cpu_ms = await _load(instance)
            added_ms = await _latency(instance.client, model)
            memory = instance.memory_mib()
    with started("benchmarks.rivals.model", str(MODEL_S)) as (model, _):
        survival = Survival()
        chance = random.Random(SEED)
        until = time.perf_counter() + KILLING_S
        while survival.kills < KILLS and time.perf_counter() < until:
            say(f"rivals: {gateway.name}, kill {survival.kills + 1}, at most {KILLS}")
            place = _place(folder / f"kill-{survival.kills}", model)
            survival += await _killed(gateway, place, chance, starts)
    with started("benchmarks.rivals.model", "0") as (model, _):
        say(f"rivals: {gateway.name}, one key of two answers 429")
        place = _place(folder / "keys", model, (LIMITED, HEALTHY))
        async with running(gateway, place) as instance:
            starts.append(instance.ready_s)
            failover = await _failover(instance.client, model)
    return Figures(
        gateway.name,
        gateway.version,
        gateway.changed,
        per_s,
        cpu_ms,
        added_ms,
        tuple(starts),
        memory,
        survival,
        failover,
    )


def _place(home: Path, model: str, keys: tuple[str, ...] = (HEALTHY,)) -> Place:
    return Place(home, free_port(), model, keys)


async def _turn(client: Client, chat: str, within_s: float = TURN_S) -> None:
    """A message and its own answer; a wrong one ends the benchmark."""
    expected = mark(next(_numbers))
    async with asyncio.timeout(within_s):
        answer = await client.say(chat, f"question {expected}")
    if expected not in answer:
        raise NoAnswer(f"{expected} was answered with {answer!r}")


async def _load(instance: Instance) -> tuple[float, float]:
    """Turns a second, and CPU of a turn in ms."""
    client = instance.client
    turns = 0

    async def converse(chat: str, until: float) -> None:
        nonlocal turns
        while time.perf_counter() < until:
            await _turn(client, chat)
            turns += 1

    chats = [f"chat-{number}" for number in range(CHATS)]
    await asyncio.gather(*(_turn(client, chat) for chat in chats))
    begun, cpu = time.perf_counter(), instance.cpu_s()
    await asyncio.gather(*(converse(chat, begun + LOAD_S) for chat in chats))
    wall, used = time.perf_counter() - begun, instance.cpu_s() - cpu
    return turns / wall, used / turns * 1000


async def _latency(client: Client, model: str) -> float:
    """In ms; the model server's own part is left out."""
    took: list[float] = []
    until = time.perf_counter() + LATENCY_S
    while len(took) < LATENCY_TURNS and time.perf_counter() < until:
        begun = time.perf_counter()
        await _turn(client, "alone")
        took.append(time.perf_counter() - begun)
    bare: list[float] = []
    for _ in range(LATENCY_TURNS):
        begun = time.perf_counter()
        await asyncio.to_thread(_post, f"{model}/chat/completions", b'{"stream": true}')
        bare.append(time.perf_counter() - begun)
    return (statistics.median(took[1:]) - statistics.median(bare)) * 1000


def _post(url: str, body: bytes) -> bytes:
    with urllib.request.urlopen(url, body) as answer:
        return bytes(answer.read())


async def _killed(
    gateway: Gateway, place: Place, chance: random.Random, starts: list[float]
) -> Survival:
    """One kill while messages are in, one start, and the transcripts."""
    acknowledged: list[str] = []
    first = asyncio.Event()
    said = {f"chat-{number}": mark(next(_numbers)) for number in range(MESSAGES)}

    async with running(gateway, place) as instance:
        starts.append(instance.ready_s)
        # In chats that exist: OpenClaw keeps a message before it acknowledges it, if not the first.
        await asyncio.gather(*(_turn(instance.client, chat) for chat in said))

        async def tell(chat: str) -> None:
            def heard() -> None:
                acknowledged.append(said[chat])
                first.set()

            with suppress(OSError, ConnectionClosed):
                await instance.client.say(chat, f"question {said[chat]}", heard)

        telling = asyncio.gather(*map(tell, said))
        async with asyncio.timeout(TURN_S):
            await first.wait()
        await asyncio.sleep(chance.uniform(0, KILL_WITHIN_S))
        instance.kill()
        await telling
    async with running(gateway, place) as instance:
        starts.append(instance.ready_s)
        return await _recovered(instance.client, tuple(said), acknowledged)


async def _recovered(client: Client, chats: Sequence[str], acknowledged: Sequence[str]) -> Survival:
    until = time.perf_counter() + RECOVER_S
    while time.perf_counter() < until:
        if not survived(acknowledged, await client.answers(chats)).never:
            await asyncio.sleep(SEEN_AGAIN_S)
            break
        await asyncio.sleep(LOOK_AGAIN_S)
    return survived(acknowledged, await client.answers(chats))


async def _failover(client: Client, model: str) -> float | None:
    """Seconds until the answer whose first key is refused. Raises `SystemExit` if none was."""
    control = model.removesuffix("/v1")
    await _turn(client, "keys")
    await asyncio.to_thread(_post, f"{control}/limit", b"")
    begun = time.perf_counter()
    took: float | None = None
    with suppress(NoAnswer, TimeoutError):
        await _turn(client, "keys", FAILOVER_S)
        took = time.perf_counter() - begun
    if not int(await asyncio.to_thread(_post, f"{control}/refused", b"")):
        raise SystemExit("the key that answers 429 was not asked: it is not the first")
    return took
