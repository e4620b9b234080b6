"""What the layer of keys, pauses and budgets costs on a healthy call, beside the client's own CPU.

The client makes real requests to a model server in another process; the layer is measured around a
model that answers at once, with three keys and a conversation of forty messages. Both in CPU time
of this process, the best of several rounds, because what other programs take only adds.
"""

from __future__ import annotations

import asyncio
import time

from agents.base.messages import AssistantMessage, UserMessage
from agents.base.models import Model, ModelContext, ModelReply, ModelRequest, Usage
from agents.base.spending import Spent
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from agents.resilience.budgets import Budget, Budgeted
from agents.resilience.policy import Endpoint, Resilient
from benchmarks.tables import Aim, Found, Progress, Table
from benchmarks.whole import upstream
from gateway.core.clock import SystemClock
from gateway.core.parts import Text

ROUNDS = 5
CALLS = 200
AIM = 0.05
"""Share of the client's CPU that the layer may take."""


class Instant:
    """Answers at once."""

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        context.emit("fine")
        return ModelReply("fine", usage=Usage(2500, 1))

    async def close(self) -> None:
        """There is nothing to close."""


class Nothing:
    """Nothing was spent."""

    async def since(self, at_ms: int) -> list[Spent]:
        return []

    async def under(self, root: str) -> int:
        return 0


def measure(say: Progress) -> Found:
    """The client, then the layer around nothing."""
    say(f"failover: {ROUNDS} rounds of {CALLS} calls, bare client and layer")
    with upstream() as url:
        client, layer = asyncio.run(_measured(url))
    rows = [
        ("client, a call", round(client * 1000, 3)),
        ("keys, pauses and budgets around it", round(layer * 1000, 3)),
    ]
    return [
        Table("A healthy model call", ("", "CPU ms"), rows, "Best of five rounds."),
        Aim("keys, pauses and budgets ÷ client's call, CPU", layer / client, AIM, "times"),
    ]


async def _measured(url: str) -> tuple[float, float]:
    clock = SystemClock()
    context = ModelContext(clock, lambda text: None, session="s", root="t", within_s=600.0)
    exchange = (UserMessage((Text("x" * 250),)), AssistantMessage("y" * 250))
    request = ModelRequest("big", "z" * 1000, exchange * 20, fallbacks=("small",))
    profiles = [Profile(url, f"k{number}", "big", name=f"k{number}") for number in range(3)]
    client = OpenAIModel(profiles[0])
    policy = Resilient([Endpoint(profile, Instant()) for profile in profiles], clock=clock)
    layer = Budgeted(policy, Budget(turn_calls=1_000_000), Nothing(), clock.now_ms())
    try:
        bare = await _cpu_s(client, request, context)
        around = await _cpu_s(layer, request, context)
        nothing = await _cpu_s(Instant(), request, context)
        return bare, around - nothing
    finally:
        await client.close()


async def _cpu_s(model: Model, request: ModelRequest, context: ModelContext) -> float:
    """CPU of one call."""
    await model.open()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            await model.complete(request, context)
        best = min(best, (time.process_time() - began) / CALLS)
    return best
