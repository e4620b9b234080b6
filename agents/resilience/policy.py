"""One answer despite failing model servers: other keys, a short wait, other models.

Wraps one client a profile and is a model itself, so the turn sees either one answer or one failure.
It goes around model calls only: no tool is run in here, so none is run twice. The next profile is
decided by `choosing`, how long a key cools down by `cooldown`; `search` asks, waits, records.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.base.models import Limits, Model, ModelContext, ModelReply, ModelRequest
from agents.base.profiles import (
    Forgetful,
    LineUse,
    ModelAtProfile,
    ProfileInfo,
    ProfileState,
    Watch,
)
from agents.models.introduction import ask_server
from agents.models.profile import LOCAL, Profile
from agents.resilience import choosing
from agents.resilience.choosing import Candidate
from agents.resilience.introductions import Introductions
from agents.resilience.key_state import KeyState
from agents.resilience.search import Search
from gateway.core.clock import Clock
from gateway.core.errors import ModelAttempt, ModelFailed

MAX_WARM = 10_000
"""Conversations whose last key is remembered; the longest unused are forgotten first."""
WARM_MS = 300_000
"""How long providers keep the beginning of a prompt: after it one key is as good as another."""

Strategy = Literal["ordered", "round_robin"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A profile and the client that asks there."""

    profile: Profile
    client: Model


@dataclass(frozen=True, slots=True)
class _Warm:
    """Who answered a conversation last."""

    profile: str
    model: str
    at_ms: int


class Resilient:
    """A model that answers as long as one of its profiles does."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        clock: Clock,
        state: ProfileState | None = None,
        strategy: Strategy = "ordered",
        models: tuple[str, ...] = (),
    ) -> None:
        self.models = models
        self._endpoints = {endpoint.profile.name: endpoint for endpoint in endpoints}
        self.profiles = tuple(endpoint.profile for endpoint in endpoints)
        self.keys = KeyState(self.profiles, state or Forgetful())
        self._clock = clock
        self._strategy = strategy
        self._warm: OrderedDict[str, _Warm] = OrderedDict()
        self._turn = 0
        self._watching: list[Watch] = []
        self.introductions = Introductions(
            profile.name for profile in self.profiles if profile.name != LOCAL
        )

    async def open(self) -> None:
        """Take up what is known of the keys, and make the first client ready; the others follow
        when they are needed."""
        await self.keys.standings.load()
        await next(iter(self._endpoints.values())).client.open()

    async def close(self) -> None:
        """Close every client."""
        for endpoint in self._endpoints.values():
            await endpoint.client.close()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """One answer. Raises `ModelFailed` with what was tried; cancelling it ends the request
        under way and changes no standing."""
        search = Search(self, self.keys, request, context)
        try:
            async with context.clock.timeout(context.within_s):
                return await search.run()
        except TimeoutError:
            pass
        raise ModelFailed(
            "timeout", "the time of the turn was over", attempts=tuple(search.attempts)
        )

    def able(self, request: ModelRequest, session: str) -> list[Candidate]:
        """Everyone who could answer, best first."""
        warm = self._warm.get(session)
        fresh = warm is not None and self._clock.now_ms() - warm.at_ms < WARM_MS
        if self._strategy == "round_robin" and not fresh:
            self._turn += 1
        models = tuple(dict.fromkeys((request.model, *request.fallbacks)))
        return choosing.candidates(
            models,
            self.profiles,
            warm=(warm.profile, warm.model) if warm is not None and fresh else None,
            turn=self._turn - 1 if self._strategy == "round_robin" else 0,
        )

    def limits(self, request: ModelRequest) -> Limits:
        """What is known of the model that would be asked first now."""
        now_ms = self._clock.now_ms()
        able = choosing.candidates((request.model, *request.fallbacks), self.profiles)
        ready = (one for one in able if self.keys.ready_ms(one, now_ms) <= now_ms)
        first = next(ready, able[0] if able else None)
        if first is None:
            return Limits()
        window, scale = self.keys.window_as_asked(first, request), self.keys.scale(first.model)
        images = any(self.keys.abilities(one).takes("images") for one in able)
        return Limits(window, round(scale.ratio, 3), images)

    def seen(self) -> tuple[ProfileInfo, ...]:
        """The profiles and how their models do, without keys."""
        now_ms = self._clock.now_ms()
        return tuple(self._info(profile, now_ms) for profile in self.profiles)

    def lines(self) -> list[LineUse]:
        """The line in front of each profile that was asked."""
        return self.keys.lines()

    def clear(self, profile: str = "") -> int:
        """End the pauses of one profile, or of all; returns how many records were forgotten."""
        return self.keys.clear(profile, now_ms=self._clock.now_ms())

    async def introduce(self) -> None:
        """Ask the servers that are due what they tell of the models asked for there; all at the
        same time."""
        due = self.introductions.due(self._clock.now_ms())
        asked = [profile for profile in self.profiles if profile.name in due]
        said = await asyncio.gather(
            *(ask_server(profile, filter(profile.serves, self.models)) for profile in asked)
        )
        for profile, told in zip(asked, said, strict=True):
            if not told:
                self.introductions.silent(profile.name)
            for one in told:
                self.keys.standings.told(profile.name, one, now_ms=self._clock.now_ms())

    def watch(self, watch: Watch) -> None:
        """Tell this one of every request from now on."""
        self._watching.append(watch)

    def ended(self, attempt: ModelAttempt, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """A request has ended."""
        self.introductions.ended(attempt)
        for watch in self._watching:
            watch(attempt, input_tokens, output_tokens)

    def _info(self, profile: Profile, now_ms: int) -> ProfileInfo:
        learnt = (model for name, model in self.keys.standings.all() if name == profile.name)
        wanted = (model for model in self.models if profile.serves(model))
        names = dict.fromkeys((*profile.models, *wanted, *filter(None, learnt)))
        return ProfileInfo(
            profile.name,
            profile.base_url,
            tuple(self._at(Candidate(profile, model), now_ms) for model in names),
        )

    def _at(self, candidate: Candidate, now_ms: int) -> ModelAtProfile:
        standing, known = (
            self.keys.standing(candidate, now_ms=now_ms),
            self.keys.standings.of(*candidate.key),
        )
        ready_ms = self.keys.ready_ms(candidate, now_ms)
        resting, able = ready_ms > now_ms, self.keys.abilities(candidate)
        return ModelAtProfile(
            candidate.model,
            "resting" if resting else "ready",
            standing.category,
            known.failures,
            ready_ms if resting else 0,
            standing.ok_ms,
            able.window,
            able.output,
            able.takes("tools"),
            able.takes("images"),
            able.simultaneous,
            able.left_out,
        )

    def client(self, profile: str) -> Model:
        """Who asks there."""
        return self._endpoints[profile].client

    def answered(self, session: str, by: Candidate, wanted: str) -> str:
        """Remember who answered; returns the notice due when the model is another than before."""
        before = self._warm.pop(session, None)
        if session:
            self._warm[session] = _Warm(by.profile.name, by.model, self._clock.now_ms())
            if len(self._warm) > MAX_WARM:
                self._warm.popitem(last=False)
        if by.model == (before.model if before is not None else wanted):
            return ""
        if by.model == wanted:
            return f"{wanted} answers again"
        lacks = [] if self.keys.abilities(by).takes("tools") else ["cannot use tools"]
        lacks += ["reads only the beginning of long instructions"] if by.profile.identity else []
        unable = f", which {' and '.join(lacks)}," if lacks else ""
        return f"answered by {by.model}{unable or ','} because {wanted} is not available right now"
