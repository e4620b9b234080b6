"""A durable task whose every effect is written down outside of the store, by who and when."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import cast

from agents.base.tools import Effect
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext

STEPS = ("walk", "walk", "pay", "walk", "walk")
"""`pay` is unsafe."""


async def journey(context: RunContext, input: Json) -> Json:
    """Takes the path of the journal; returns what its steps returned."""
    journal = Path(cast("str", input))

    async def walk(attempt: Attempt) -> Json:
        file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{attempt.key} {attempt.number} {os.getpid()}\n".encode())
        os.close(file)
        await asyncio.sleep(random.uniform(0, 0.05))  # when a kill hits is chance
        return attempt.path

    done: list[Json] = []
    for step in STEPS:
        effect = Effect.UNSAFE if step == "pay" else Effect.PURE
        done.append(await context.step(step, walk, effect=effect))
    return done
