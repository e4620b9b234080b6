"""Asks the real local model what newcomers ask first, and judges its answers by fixed rules.

Through the product's own `LocalModel`, with the instructions of a fresh workspace. One answer at a
time under a fixed seed, so a machine repeats its answers; its process runs at low priority.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from agents import prompt
from agents.base.agents import Agent
from agents.base.identities import FIRST_AGENT
from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models.fetching import Fetcher
from agents.models.local import LocalModel
from agents.models.local_prompt import SAMPLING
from agents.models.weights import WeightsCache
from benchmarks.first_words.judge import fault
from benchmarks.first_words.messages import MESSAGES, Message
from benchmarks.tables import Aim, Found, Progress, Table
from gateway.composition.answering import local_weights
from gateway.core.clock import SystemClock
from gateway.core.ids import AgentId, SystemIds
from gateway.core.parts import Text
from gateway.settings.settings import load_settings

TRIES = 5
AIM = 0.9
"""Share of good answers; with the rest a newcomer would think it broken."""

Try = tuple[str, ModelReply, str]
"""Message, answer, and its fault."""


def measure(say: Progress) -> Found:
    """Every message once for each seed; without weights nothing is measured."""
    stored = local_weights(load_settings()).cache.path
    if not stored.exists():
        say("first_words: the weights are not on this machine; run: turngate model pull")
        return []
    tries: list[Try] = []
    for seed in range(1, TRIES + 1):
        say(f"first_words: {len(MESSAGES)} first messages, try {seed} of {TRIES}")
        for message, reply, wrong in asyncio.run(_asked(stored, seed)):
            tries.append((message, reply, wrong))
            if wrong:
                say(f"  {wrong}: {message!r} -> {reply.text[:200]!r}")
    faults = Counter(wrong or "good" for _, _, wrong in tries)
    tokens = sum(reply.usage.output_tokens for _, reply, _ in tries)
    rows = [(word, times, f"{times / len(tries):.1%}") for word, times in faults.most_common()]
    title = f"First answers of the local model: {len(MESSAGES)} messages, {TRIES} tries each"
    note = f"{tokens / len(tries):.0f} tokens an answer"
    return [
        Table(title, ("", "answers", "share"), rows, note),
        Aim("good first answers", faults["good"] / len(tries), AIM, "share", at_most=False),
    ]


async def _asked(stored: Path, seed: int) -> list[Try]:
    """All messages, each in a conversation of its own."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        # A folder of its own: a gateway on this machine may hold the lock beside the weights.
        cache = WeightsCache(Path(folder))
        cache.path.symlink_to(stored)
        sampling = {**SAMPLING, "seed": seed}
        model = LocalModel(Fetcher(cache, clock), clock, SystemIds(clock), sampling=sampling)
        await model.open()
        try:
            return [await _judged(model, clock, message) for message in MESSAGES]
        finally:
            await model.close()


async def _judged(
    model: LocalModel, clock: SystemClock, message: Message
) -> tuple[str, ModelReply, str]:
    agent = Agent(AgentId("main"), "main", FIRST_AGENT, Path())
    said = (UserMessage((Text(message.text),)),)
    request = ModelRequest("local", prompt.system_prompt(agent), said)
    reply = await model.complete(request, ModelContext(clock, lambda text: None))
    return message.text, reply, fault(message, reply.text, reply.finish_reason)
