"""Whole turns through a whole gateway in one process: order, throughput, CPU, memory.

4 000 messages over 200 conversations with the scripted model and a file on disk, next to the same
generator and model without anything durable. Figures are ratios of one run; what must hold (every
conversation's answers in order, memory back after eviction) is checked, not timed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from agents.base.effects import CallModel
from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply
from agents.models.scripted import ScriptedModel
from agents.tools.catalog import TOOLS
from agents.turn import ToolLoop
from agents.workspace import default_agent
from benchmarks.tables import Found, Progress, Table
from channels.base.channel import Capabilities, Intake
from channels.base.messages import Inbound, Outbound, Receipt
from gateway.composition.root import open_gateway
from gateway.core.clock import SystemClock
from gateway.core.keys import RouteKey
from gateway.core.parts import Text
from gateway.running import Gateway
from gateway.settings.settings import Settings
from gateway.telemetry import logs

CONVERSATIONS = 200
EACH = 20
"""Messages of a conversation."""
MESSAGES = CONVERSATIONS * EACH
WINDOW = 64
"""Conversations talking at once."""


class Counting:
    """A channel that remembers, per peer, the order of what it showed."""

    name = "bench"
    account = "default"
    capabilities = Capabilities(dedupes=True)

    def __init__(self) -> None:
        self.shown: dict[str, list[str]] = defaultdict(list)
        self.waiting: dict[str, asyncio.Event] = {}

    async def run(self, intake: Intake) -> None:
        """Nothing comes in by itself."""

    async def send(self, message: Outbound) -> Receipt:
        """Count it."""
        self.shown[message.destination.target].append(message.text)
        self.waiting[message.destination.target].set()
        return Receipt()

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement: turns per second, CPU and latency per turn, memory before and after."""

    name: str
    turns_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    rss_before_mib: float
    rss_talking_mib: float
    rss_after_mib: float


def measure(progress: Progress) -> Found:
    """The durable gateway, then the bare turn."""
    progress(f"turns: {MESSAGES} messages over {CONVERSATIONS} conversations, every turn durable")
    durable = asyncio.run(_gateway())
    progress("turns: the same without anything kept")
    bare = asyncio.run(_bare())
    rows = [
        (
            found.name,
            round(found.turns_s),
            round(found.cpu_ms, 3),
            round(found.p50_ms, 2),
            round(found.p99_ms, 2),
            round(found.rss_before_mib, 1),
            round(found.rss_talking_mib, 1),
            round(found.rss_after_mib, 1),
        )
        for found in (durable, bare)
    ]
    return [
        Table(
            "Whole turns, scripted model, one process",
            (
                "",
                "turns/s",
                "CPU ms/turn",
                "p50 ms",
                "p99 ms",
                "MiB before",
                "MiB talking",
                "MiB evicted",
            ),
            rows,
            f"{WINDOW} conversations talk at once and 12 turns run; every conversation's answers "
            "were in order and no lane was left.",
        )
    ]


async def _gateway() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            turngate_home=Path(folder) / "home",
            workspace_dir=Path(folder) / "workspace",
            turngate_model="scripted",
        )
        channel = Counting()
        logs.configure(level="warning")
        async with open_gateway(settings, channels=[channel]) as gateway:
            before = _rss()
            started, cpu = time.perf_counter(), time.process_time()
            latencies = await _talk(gateway, channel, CONVERSATIONS)
            wall, used = time.perf_counter() - started, time.process_time() - cpu
            await gateway.idle()
            _check(gateway, channel)
            talking = _rss()
            for number in range(CONVERSATIONS):
                gateway.sessions.forget(f"agent:main:bench:direct:p{number}")
            gc.collect()
            after = _rss()
    return Figures(
        "gateway, every turn durable",
        MESSAGES / wall,
        used / MESSAGES * 1000,
        _quantile(latencies, 0.5),
        _quantile(latencies, 0.99),
        before,
        talking,
        after,
    )


async def fill(home: Path, workspace: Path, messages: int) -> None:
    """Leave a store behind in which as much as this was said and answered."""
    settings = Settings(turngate_home=home, workspace_dir=workspace, turngate_model="scripted")
    channel = Counting()
    logs.configure(level="warning")
    async with open_gateway(settings, channels=[channel]) as gateway:
        await _talk(gateway, channel, messages // EACH)
        await gateway.idle()


async def _talk(gateway: Gateway, channel: Counting, conversations: int) -> list[float]:
    """Each conversation sends its next message when the last was answered."""
    latencies: list[float] = []
    gate = asyncio.Semaphore(WINDOW)

    async def converse(number: int) -> None:
        peer = f"p{number}"
        event = channel.waiting[peer] = asyncio.Event()
        route = RouteKey("bench", "default", peer=peer)
        for index in range(EACH):
            async with gate:
                began = time.perf_counter()
                event.clear()
                await gateway.intake.accept(Inbound(route, (Text(f"say {index}"),), "bench"))
                await event.wait()
                latencies.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*(converse(number) for number in range(conversations)))
    return latencies


def _check(gateway: Gateway, channel: Counting) -> None:
    expected = [f"You said: say {index}" for index in range(EACH)]
    wrong = [peer for peer, shown in channel.shown.items() if shown != expected]
    if wrong or len(channel.shown) != CONVERSATIONS:
        raise SystemExit(f"answers lost or out of order for {wrong[:5]}")
    if len(gateway.lanes):
        raise SystemExit(f"{len(gateway.lanes)} lanes are left although nothing waits")


async def _bare() -> Figures:
    """The same generator and model with nothing kept: what durability is compared to."""
    program, model = ToolLoop(TOOLS, models=("scripted",)), ScriptedModel()
    agent = default_agent(Path())
    clock = SystemClock()
    context = ModelContext(clock, lambda text: None)
    latencies: list[float] = []
    before = _rss()
    started, cpu = time.perf_counter(), time.process_time()
    for index in range(MESSAGES):
        began = time.perf_counter()
        snapshot = program.prepare(agent, revision=0, now_ms=clock.now_ms())
        turn = program.run(snapshot, (UserMessage((Text(f"say {index}"),)),))
        effect = next(turn)
        if not isinstance(effect, CallModel):
            raise SystemExit("the scripted turn asked for tools")
        reply: ModelReply = await model.complete(effect.request, context)
        try:
            turn.send(reply)
        except StopIteration:
            latencies.append((time.perf_counter() - began) * 1000)
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    now = _rss()
    return Figures(
        "the turn alone, nothing kept",
        MESSAGES / wall,
        used / MESSAGES * 1000,
        _quantile(latencies, 0.5),
        _quantile(latencies, 0.99),
        before,
        now,
        now,
    )


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def _rss() -> float:
    """Resident memory now, in MiB; the peak where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
