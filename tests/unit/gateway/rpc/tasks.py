"""Tasks as an operator would declare them, for tests of the methods about runs."""

from __future__ import annotations

from agents.base.tools import Effect
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.retry import RetryPolicy
from gateway.runs.task import Finish


class Office:
    """Tasks with a memory of what they did in the world; `down` makes their work fail."""

    def __init__(self) -> None:
        self.down = False
        self.done: list[str] = []

    async def report(self, ctx: RunContext, input: Json) -> Json:
        """Two steps with an id in between."""

        async def gather(attempt: Attempt) -> Json:
            self._do("gather")
            ctx.stream({"text": "gathering"})
            return {"for": input}

        async def write(attempt: Attempt) -> Json:
            self._do("write")
            return f"report {attempt.key.rpartition(':')[2]}"

        found = await ctx.step("gather", gather, input=input)
        await ctx.now()
        return {"found": found, "text": await ctx.step("write", write)}

    async def approval(self, ctx: RunContext, input: Json) -> Json:
        """Waits for somebody."""
        return await ctx.await_event("approved", timeout_s=3600, reason="approval")

    async def payment(self, ctx: RunContext, input: Json) -> Json:
        """Must not happen twice."""

        async def pay(attempt: Attempt) -> Json:
            self._do("pay")
            return "paid"

        return await ctx.step("pay", pay, effect=Effect.UNSAFE)

    async def volume(self, ctx: RunContext, input: Json) -> Json:
        """Comes to more than a frame holds."""

        async def write(attempt: Attempt) -> Json:
            return "\U0001f600" * 300_000

        return [await ctx.step("write", write), '"' * 600_000]

    async def translation(self, ctx: RunContext, input: Json) -> Finish:
        """Uses a model of its own, and says how good it was; half of it comes before a failure."""

        async def translate(attempt: Attempt) -> Json:
            ctx.charge(attempt, "big", tokens_in=100, tokens_out=20)
            if attempt.noted is None:
                ctx.note(attempt, "half")
                raise ConnectionError("cut")
            self._do(f"after {attempt.noted}")
            return "done"

        text = await ctx.step("translate", translate, retry=RetryPolicy(initial_s=0, jitter=0))
        return Finish("completed", text, outcome={"score": 0.9})

    def _do(self, what: str) -> None:
        self.done.append(what)
        if self.down:
            raise ConnectionError("the printer is on fire")
