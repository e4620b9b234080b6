"""A policy over real HTTP: several keys, one upstream double, time by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.base.profiles import Kept, ProfileState
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile, Timeouts
from agents.resilience.policy import Endpoint, Resilient, Strategy
from gateway.core.clock import ManualClock
from gateway.core.parts import Text
from gateway.simulate.fault import Fault
from gateway.simulate.simulator import Simulator
from tests.support.upstream import Answer, Call, Upstream

T = TypeVar("T")

LONGEST_WAIT_S = 20.0
"""Waits are shorter; what is longer is a deadline of a request, which real time decides here."""


class PatientClock(ManualClock):
    """Time jumps to the end of a wait, and no further: requests take real time."""

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        short = seconds is not None and seconds <= LONGEST_WAIT_S
        async with super().timeout(seconds if short else None):
            yield


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

    def __init__(self, upstream: Upstream, clock: PatientClock, policy: Resilient) -> None:
        self.upstream = upstream
        self.clock = clock
        self.policy = policy
        self.shown = Shown()
        self.answers: dict[tuple[str, str], Answer] = {}
        self.passed: list[float] = []
        """How much time had passed, in seconds, when each request arrived."""
        upstream.reply = self._reply

    def on(self, key: str, answer: Answer, *, model: str = "") -> None:
        """How requests with this key, or with it for this model, are answered from now on."""
        self.answers[key, model] = answer

    def _reply(self, call: Call) -> Answer:
        self.passed.append(round(self.clock.monotonic(), 1))
        for key in ((key_of(call), call.model), (key_of(call), ""), ("", call.model)):
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

    @property
    def asked(self) -> list[str]:
        """Key and model of each request, in order."""
        return [f"{key_of(call)}/{call.model}" for call in self.upstream.calls]


def profile_for(fault: Fault, simulator: Simulator, key: str, *, name: str) -> Profile:
    """A profile that leads to this simulator, under the name of the host that fails like this."""
    if fault.host:
        return Profile(f"http://{fault.host}/v1", key, "big", name=name, proxy=simulator.url)
    return Profile(simulator.base_url, key, "big", name=name)


def key_of(call: Call) -> str:
    """The key a request came with."""
    return call.headers.get("authorization", "").removeprefix("Bearer ")


Adjust = Callable[[Profile], Profile]


@asynccontextmanager
async def open_failover(
    *keys: str,
    state: ProfileState | None = None,
    strategy: Strategy = "ordered",
    adjust: Adjust = lambda profile: profile,
    urls: Sequence[str] = (),
    clock: PatientClock | None = None,
) -> AsyncIterator[Failover]:
    """A policy over these keys, ready to be asked."""
    clock = clock or PatientClock()
    async with Upstream() as upstream:
        profiles = [
            adjust(Profile(urls[n] if urls else upstream.base_url, key, "big", name=key))
            for n, key in enumerate(keys)
        ]
        timeouts = Timeouts(idle_s=0.2)
        policy = Resilient(
            [Endpoint(profile, OpenAIModel(profile, timeouts=timeouts)) for profile in profiles],
            clock=clock,
            state=state,
            strategy=strategy,
        )
        await policy.open()
        try:
            yield Failover(upstream, clock, policy)
        finally:
            await policy.close()
