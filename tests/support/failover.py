"""A policy over real HTTP, alone or in a whole gateway: several keys, one simulated model, time by
hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import orjson

from agents.base.effects import ModelFailure
from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.base.profiles import Kept, ProfileState
from agents.base.tools import Tool
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile, Timeouts
from agents.resilience.policy import Endpoint, Resilient, Strategy
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelFailed
from gateway.core.ids import AgentId
from gateway.core.parts import Text
from gateway.simulate.asked import Asked
from gateway.simulate.fault import Fault
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Answer, Simulator
from gateway.store.base.steps import LoadSteps
from gateway.turns import records
from tests.support.house import House, agent, inbound, open_house

T = TypeVar("T")

LONGEST_WAIT_S = 20.0
"""Waits are shorter; what is longer is a deadline of a request, which real time decides here."""


NO_EVENT = ("empty", "empty-json", "cut-at-once", "comments-only")
"""Faults without any event of an answer."""


class PatientClock:
    """Time jumps to the end of a wait on this clock, and no further: requests take real time.

    Others may wait on the `time` below; that alone moves nothing.
    """

    def __init__(self) -> None:
        self.time = ManualClock()
        self._ends: list[float] = []

    def now_ms(self) -> int:
        return self.time.now_ms()

    def monotonic(self) -> float:
        return self.time.monotonic()

    async def sleep(self, seconds: float) -> None:
        with self._wait(seconds):
            await self.time.sleep(seconds)

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        if seconds is None or seconds > LONGEST_WAIT_S:
            yield
            return
        with self._wait(seconds):
            async with self.time.timeout(seconds):
                yield

    async def advance(self, seconds: float) -> None:
        """As `ManualClock` does."""
        await self.time.advance(seconds)

    async def drive(self, work: Awaitable[T], *, idle_s: float = 0.005) -> T:
        """Run to its end; `idle_s` of real time without one are a sign that somebody waits."""
        task = asyncio.ensure_future(work)  # noqa: TID251 - ended below
        try:
            while not (await asyncio.wait({task}, timeout=idle_s))[0]:
                if self._ends:
                    await self.advance(min(self._ends) - self.monotonic())
            return task.result()
        finally:
            task.cancel()

    @contextmanager
    def _wait(self, seconds: float) -> Iterator[None]:
        end = self.monotonic() + seconds
        self._ends.append(end)
        try:
            yield
        finally:
            self._ends.remove(end)


class Shelf:
    """Keeps standings in memory, over several policies."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Kept] = {}

    async def load(self) -> list[Kept]:
        return list(self.kept.values())

    def save(self, kept: Kept) -> None:
        self.kept[kept.profile, kept.model] = kept


@dataclass(slots=True)
class Shown:
    """What somebody who watches sees: text, and when it was taken back."""

    pieces: list[str] = field(default_factory=list)
    restarts: int = 0

    def emit(self, text: str) -> None:
        self.pieces.append(text)

    def restarted(self) -> None:
        self.restarts += 1
        self.pieces.clear()

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Failover:
    """Asks a policy whose keys all lead to one upstream, which answers by key and model."""

    def __init__(self, upstream: Simulator, clock: PatientClock, policy: Resilient) -> None:
        self.upstream = upstream
        self.clock = clock
        self.policy = policy
        self.shown = Shown()
        self.answers: dict[tuple[str, str], Answer] = {}
        self.passed: list[float] = []
        """How much time had passed, in seconds, when each request arrived."""
        upstream.answer = self._reply

    def on(self, key: str, answer: Answer, *, model: str = "") -> None:
        """How requests with this key, or with it for this model, are answered from now on."""
        self.answers[key, model] = answer

    def _reply(self, call: Asked) -> Answer:
        self.passed.append(round(self.clock.monotonic(), 1))
        for key in ((call.key, call.model), (call.key, ""), ("", call.model)):
            if key in self.answers:
                return self.answers[key]
        return "fine"

    async def ask(
        self,
        *,
        fallbacks: tuple[str, ...] = (),
        session: str = "s",
        patience_s: float = 15.0,
        text: str = "hi",
    ) -> ModelReply:
        """One answer; waits pass at once."""
        self.shown = Shown()
        said = (UserMessage((Text(text),)),)
        request = ModelRequest("big", "You are a test.", said, fallbacks=fallbacks)
        context = ModelContext(
            self.clock,
            self.shown.emit,
            restarted=self.shown.restarted,
            session=session,
            patience_s=patience_s,
        )
        return await self.drive(self.policy.complete(request, context))

    async def drive(self, work: Awaitable[T]) -> T:
        """Run it; time passes while nothing else happens."""
        return await self.clock.drive(work)

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance(seconds)

    @property
    def asked(self) -> list[str]:
        """Key and model of each request, in order."""
        return [f"{call.key}/{call.model}" for call in self.upstream.asked]


class WholeFailover(Failover):
    """The same by way of a gateway: each question is a message, each answer a turn's."""

    def __init__(
        self, upstream: Simulator, clock: PatientClock, policy: Resilient, house: House
    ) -> None:
        super().__init__(upstream, clock, policy)
        self.house = house
        self.said = ""
        """What the person got to read last."""

    async def ask(
        self,
        *,
        fallbacks: tuple[str, ...] = (),
        session: str = "s",
        patience_s: float = 15.0,
        text: str = "hi",
    ) -> ModelReply:
        """The outcome on record; what the person saw says the same."""
        message = inbound(text, peer=session)
        if fallbacks:
            message = replace(message, agent=SPARE)
        accepted = await self.house.send(message)
        await self.drive(self.house.idle())
        self.said = self.house.channel.sent[-1].text
        steps = await self.house.store.read(LoadSteps(accepted.turn_id))
        last = max((step for step in steps if step.kind == "llm"), key=lambda step: int(step.path))
        outcome = records.outcome_from_json(orjson.loads(last.result or ""))
        if isinstance(outcome, ModelFailure):
            raise ModelFailed(
                outcome.category,
                outcome.message,
                retry_after_ms=outcome.retry_after_ms,
                window=outcome.window,
                attempts=outcome.attempts,
            )
        notice = f"\n\n[{outcome.notice}]" if outcome.notice else ""
        assert self.said == outcome.text + notice
        return outcome

    async def wait(self, seconds: float) -> None:
        """Let time pass, once nothing is under way."""
        await self.house.wait(seconds)


class Timed(Resilient):
    """Waits on the patient clock; the gateway around it does not."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        return await super().complete(request, replace(context, clock=self._clock))


def profile_for(fault: Fault, simulator: Simulator, key: str, *, name: str) -> Profile:
    """A profile that leads to this simulator, under the name of the host that fails like this."""
    if fault.host:
        return Profile(f"http://{fault.host}/v1", key, "big", name=name, proxy=simulator.url)
    return Profile(simulator.base_url, key, "big", name=name)


Adjust = Callable[[Profile], Profile]
SPARE = AgentId("spare")
"""The agent that has the fallback model `small`."""


@asynccontextmanager
async def open_failover(
    *keys: str,
    state: ProfileState | None = None,
    strategy: Strategy = "ordered",
    adjust: Adjust = lambda profile: profile,
    urls: Sequence[str] = (),
    clock: PatientClock | None = None,
    folder: Path | None = None,
    tools: Sequence[Tool] = (),
) -> AsyncIterator[Failover]:
    """A policy over these keys, ready to be asked; given a `folder`, in a gateway that has it and
    these tools."""
    clock = clock or PatientClock()
    async with simulating() as upstream, AsyncExitStack() as stack:
        profiles = [
            adjust(Profile(urls[n] if urls else upstream.base_url, key, "big", name=key))
            for n, key in enumerate(keys)
        ]
        timeouts = Timeouts(idle_s=0.2)
        policy = Timed(
            [Endpoint(profile, OpenAIModel(profile, timeouts=timeouts)) for profile in profiles],
            clock=clock,
            state=state,
            strategy=strategy,
            models=("big",),
        )
        if folder is None:
            await policy.open()
            stack.push_async_callback(policy.close)
            yield Failover(upstream, clock, policy)
            return
        agents = (agent(), replace(agent(SPARE), fallback_models=("small",)))
        house = House(folder, model=policy, models=("big",), agents=agents, tools=tools)
        house.clock = clock.time
        await stack.enter_async_context(open_house(house))
        yield WholeFailover(upstream, clock, policy, house)
