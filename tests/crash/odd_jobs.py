"""A durable task of random steps, declared to real gateways; what it does in the world is a book.

Every line of the book is one execution of a step's work, written between two pauses, so that a
process may die before it, after it, or before the step is on record.
"""

from __future__ import annotations

import asyncio
import os
import random
from functools import partial
from typing import Any

from agents.base.tools import Effect
from gateway.runs.attempts import Attempt
from gateway.runs.context import RunContext
from gateway.runs.retry import RetryPolicy

KINDS = ("pure", "idempotent", "unsafe", "flaky", "now", "uuid", "nap", "side")
BEARING = RetryPolicy(max_attempts=99, initial_s=0.02, jitter=0)

Program = list[Any]
"""Words of `KINDS`; a list among them is branches side by side."""


def program(seed: int) -> Program:
    """The same for a seed in every process."""
    return _some(random.Random(seed), 9, KINDS)


def _some(chance: random.Random, most: int, kinds: tuple[str, ...]) -> Program:
    words = [chance.choice(kinds) for _ in range(chance.randint(3, most))]
    return [
        [_some(chance, 3, kinds[:-1]) for _ in range(2)] if word == "side" else word
        for word in words
    ]


async def odd(ctx: RunContext, input: Any) -> list[Any]:
    """Perform the program of a seed."""
    return await _perform(input["book"], program(input["seed"]), ctx)


async def _perform(book: str, words: Program, ctx: RunContext) -> list[Any]:
    return [await _one(book, word, ctx) for word in words]


async def _one(book: str, word: Any, ctx: RunContext) -> Any:
    work = partial(_work, book, ctx.run_id)
    match word:
        case "now":
            return await ctx.now()
        case "uuid":
            return await ctx.uuid()
        case "nap":
            return await ctx.sleep(0.05)
        case "flaky":
            flaky = partial(_fail_first, work)
            return await ctx.step(word, flaky, effect=Effect.IDEMPOTENT, retry=BEARING)
        case str():
            return await ctx.step(word, work, effect=Effect(word), input=word)
        case _:
            branches = [(str(n), partial(_perform, book, each)) for n, each in enumerate(word)]
            return list(await ctx.branches(branches))


async def _work(book: str, run_id: str, attempt: Attempt) -> str:
    await asyncio.sleep(0.03)
    descriptor = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{run_id} {attempt.path} {attempt.key}\n".encode())
    os.close(descriptor)
    await asyncio.sleep(0.03)
    return attempt.path


async def _fail_first(work: Any, attempt: Attempt) -> Any:
    if attempt.number == 1:
        raise ConnectionError("not yet")
    return await work(attempt)
