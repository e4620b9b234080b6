"""What a healthy model call costs in our client and in the layer of keys, pauses and budgets
around it, beside the `openai` package making the same call.

The clients make real requests to a model server in another process; the layer is measured around a
model that answers at once, with three keys and a conversation of forty messages. All in CPU time
of this process, the best of several rounds, because what other programs take only adds.
"""

from __future__ import annotations

import time

import uvloop
from openai import AsyncOpenAI

from agents.base.messages import AssistantMessage, UserMessage
from agents.base.models import Model, ModelContext, ModelReply, ModelRequest, Usage
from agents.base.spending import Spent
from agents.models.openai import OpenAIModel
from agents.models.openai_request import to_json
from agents.models.profile import Profile
from agents.resilience.budgets import Budget, Budgeted
from agents.resilience.policy import Endpoint, Resilient
from benchmarks.tables import Aim, Found, Progress, Table
from benchmarks.whole import upstream
from gateway.core.clock import SystemClock
from gateway.core.parts import Text

ROUNDS = 5
CALLS = 200
LAYER_AIM = 0.03
"""Share of the bare call's CPU that the layer may take."""
CLIENT_AIM = 0.5
"""Share of the bare call's CPU that our client may take."""


class Bare:
    """The `openai` package as its own page shows it."""

    def __init__(self, url: str) -> None:
        self._client = AsyncOpenAI(base_url=url, api_key="bench", max_retries=0)

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        body = to_json(request, model=request.model, limit_field="max_tokens")
        text = ""
        async for chunk in await self._client.chat.completions.create(**body):
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
        return ModelReply(text)

    async def close(self) -> None:
        await self._client.close()


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
    """Both clients, then the layer around nothing."""
    say(f"failover: {ROUNDS} rounds of {CALLS} calls, both clients and the layer")
    with upstream() as url:
        bare, client, layer = uvloop.run(_measured(url))
    rows = [
        ("bare openai client, a call", round(bare * 1000, 3)),
        ("our client, a call", round(client * 1000, 3)),
        ("keys, pauses and budgets around it", round(layer * 1000, 3)),
    ]
    return [
        Table("A healthy model call", ("", "CPU ms"), rows, "Best of five rounds."),
        Aim("our client's call ÷ bare client's, CPU", client / bare, CLIENT_AIM, "times"),
        Aim("keys, pauses and budgets ÷ bare client's call, CPU", layer / bare, LAYER_AIM, "times"),
    ]


async def _measured(url: str) -> tuple[float, float, float]:
    clock = SystemClock()
    context = ModelContext(clock, lambda text: None, session="s", root="t", within_s=600.0)
    exchange = (UserMessage((Text("x" * 250),)), AssistantMessage("y" * 250))
    request = ModelRequest("big", "z" * 1000, exchange * 20, fallbacks=("small",))
    profiles = [Profile(url, f"k{number}", "big", name=f"k{number}") for number in range(3)]
    bare, client = Bare(url), OpenAIModel(profiles[0])
    policy = Resilient([Endpoint(profile, Instant()) for profile in profiles], clock=clock)
    layer = Budgeted(policy, Budget(turn_calls=1_000_000), Nothing(), clock.now_ms())
    try:
        theirs = await _cpu_s(bare, request, context)
        ours = await _cpu_s(client, request, context)
        around = await _cpu_s(layer, request, context)
        nothing = await _cpu_s(Instant(), request, context)
        return theirs, ours, around - nothing
    finally:
        await bare.close()
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
