"""One answer despite failing model servers: other keys, a short wait, other models.

Wraps one client a profile and is a model itself, so the turn sees either one answer or one failure.
It goes around model calls only: no tool is run in here, so none is run twice. The next profile is
decided by `choosing`, how long a key cools down by `cooldown`; `search` asks, waits, records.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agents.base.models import Limits, Model, ModelContext, ModelReply, ModelRequest
from agents.base.profiles import (
    Forgetful,
    Learnt,
    LineUse,
    ModelAtProfile,
    ProfileInfo,
    ProfileState,
    Standing,
    Watch,
)
from agents.models.introduction import ask_server
from agents.models.profile import LOCAL, Profile
from agents.resilience import abilities, choosing, cooldown, limiter, plain
from agents.resilience.abilities import Abilities
from agents.resilience.choosing import Candidate
from agents.resilience.introductions import Introductions
from agents.resilience.limiter import Room
from agents.resilience.line import Line
from agents.resilience.memory import Memory
from agents.resilience.scale import Scale
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


class Resilient(Memory):
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
        super().__init__(self.profiles, state or Forgetful())
        self._clock = clock
        self._strategy = strategy
        self._warm: OrderedDict[str, _Warm] = OrderedDict()
        self._turn = 0
        self.rooms: dict[tuple[str, str], Room] = {}
        self.processes = 1
        """How many share the limits of these keys, this one included."""
        self._watching: list[Watch] = []
        self._scales: dict[str, Scale] = {}
        self._lines: dict[str, Line] = {}
        self.introductions = Introductions(
            profile.name for profile in self.profiles if profile.name != LOCAL
        )
        self._abilities: dict[tuple[str, str], tuple[Learnt, Abilities]] = {}
        """Worked out once for what was learnt."""

    async def open(self) -> None:
        """Take up what is known of the keys, and make the first client ready; the others follow
        when they are needed."""
        await self.standings.load()
        await next(iter(self._endpoints.values())).client.open()

    async def close(self) -> None:
        """Close every client."""
        for endpoint in self._endpoints.values():
            await endpoint.client.close()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """One answer. Raises `ModelFailed` with what was tried; cancelling it ends the request
        under way and changes no standing."""
        search = Search(self, request, context)
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

    def room(self, candidate: Candidate, now_ms: int) -> Room | None:
        """What is left of its limits, as its server said, else as they were declared."""
        room, profile = self.rooms.get(candidate.key), candidate.profile
        if room is None or room.over(now_ms):
            left = limiter.a_minute(
                profile.requests_a_minute, profile.tokens_a_minute, now_ms=now_ms
            )
            if left is not None:
                room = self.rooms[candidate.key] = Room(left, now_ms, declared=True)
        return room

    def standing(
        self,
        candidate: Candidate,
        *,
        now_ms: int,
        session: str = "",
        tokens: int = 1,
        background: bool = False,
    ) -> Standing:
        """How it does for this session; where its limits leave no room, as if it rested until they
        do."""
        standing, room = self.standings.of(*candidate.key), self.room(candidate, now_ms)
        own = self.suspicions.of(candidate.key, session)
        if own.until_ms > standing.until_ms:
            standing = replace(own, learnt=standing.learnt)
        if room is None:
            return standing
        until_ms = room.ready_ms(
            tokens, background=background, now_ms=now_ms, processes=self.processes
        )
        if until_ms <= max(now_ms, standing.until_ms):
            return standing
        return replace(
            standing,
            failures=max(standing.failures, 1),
            category="rate",
            # A person may look whether there is room all the same, but where the operator said it.
            # Background work does not: what is kept for people is there.
            failed_ms=now_ms - (0 if background or room.declared else cooldown.PROBE_MS),
            until_ms=until_ms,
        )

    def limits(self, request: ModelRequest) -> Limits:
        """What is known of the model that would be asked first now."""
        now_ms = self._clock.now_ms()
        able = choosing.candidates((request.model, *request.fallbacks), self.profiles)
        ready = (one for one in able if self._ready_ms(one, now_ms) <= now_ms)
        first = next(ready, able[0] if able else None)
        if first is None:
            return Limits()
        window, scale = self.window_as_asked(first, request), self.scale(first.model)
        images = any(self.abilities(one).takes("images") for one in able)
        return Limits(window, round(scale.ratio, 3), images)

    def seen(self) -> tuple[ProfileInfo, ...]:
        """The profiles and how their models do, without keys."""
        now_ms = self._clock.now_ms()
        return tuple(self._info(profile, now_ms) for profile in self.profiles)

    def lines(self) -> list[LineUse]:
        """The line in front of each profile that was asked."""
        return [
            LineUse(name, line.active, line.bound, line.waiting)
            for name, line in self._lines.items()
        ]

    def clear(self, profile: str = "") -> int:
        """End the pauses of one profile, or of all; returns how many records were forgotten."""
        for key in [key for key in self.rooms if profile in ("", key[0])]:
            del self.rooms[key]
        self.suspicions.forget(profile)
        return self.standings.clear(profile, now_ms=self._clock.now_ms())

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
                self.standings.told(profile.name, one, now_ms=self._clock.now_ms())

    def watch(self, watch: Watch) -> None:
        """Tell this one of every request from now on."""
        self._watching.append(watch)

    def ended(self, attempt: ModelAttempt, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """A request has ended."""
        self.introductions.ended(attempt)
        for watch in self._watching:
            watch(attempt, input_tokens, output_tokens)

    def _info(self, profile: Profile, now_ms: int) -> ProfileInfo:
        learnt = (model for name, model in self.standings.all() if name == profile.name)
        wanted = (model for model in self.models if profile.serves(model))
        names = dict.fromkeys((*profile.models, *wanted, *filter(None, learnt)))
        return ProfileInfo(
            profile.name,
            profile.base_url,
            tuple(self._at(Candidate(profile, model), now_ms) for model in names),
        )

    def _at(self, candidate: Candidate, now_ms: int) -> ModelAtProfile:
        standing, known = self.standing(candidate, now_ms=now_ms), self.standings.of(*candidate.key)
        ready_ms = self._ready_ms(candidate, now_ms)
        resting, able = ready_ms > now_ms, self.abilities(candidate)
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

    def _ready_ms(self, candidate: Candidate, now_ms: int) -> int:
        return cooldown.ready_ms(self.standing(candidate, now_ms=now_ms), now_ms=now_ms)

    def abilities(self, candidate: Candidate) -> Abilities:
        """What it takes: as the settings say, else as its server told or refused."""
        learnt = self.standings.learnt(*candidate.key)
        known = self._abilities.get(candidate.key)
        if known is None or known[0] is not learnt:
            known = self._abilities[candidate.key] = (
                learnt,
                abilities.of(candidate.profile, learnt),
            )
        return known[1]

    def window_as_asked(self, candidate: Candidate, request: ModelRequest) -> int:
        """Its window for a whole request, of which it may be sent less."""
        able, ratio = self.abilities(candidate), self.scale(candidate.model).ratio
        return plain.window_as_asked(able.window, request, able, ratio)

    def scale(self, model: str) -> Scale:
        """How this model counts."""
        return self._scales.setdefault(model, Scale())

    def line(self, candidate: Candidate) -> Line:
        """The line in front of its profile, bounded as is known now; several processes share."""
        line = self._lines.get(candidate.profile.name)
        if line is None:
            line = self._lines[candidate.profile.name] = Line()
        bound = self.abilities(candidate).simultaneous
        line.cap = max(bound // self.processes, 1) if bound else 0
        return line

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
        lacks = [] if self.abilities(by).takes("tools") else ["cannot use tools"]
        lacks += ["reads only the beginning of long instructions"] if by.profile.identity else []
        unable = f", which {' and '.join(lacks)}," if lacks else ""
        return f"answered by {by.model}{unable or ','} because {wanted} is not available right now"
