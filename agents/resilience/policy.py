"""One answer, whatever the model servers do: other keys, a short wait, other models.

Wraps one client a profile and is a model itself, so the turn sees either one answer or one failure.
It goes around model calls only: no tool is run in here, so none is run twice. Whom to ask next is
decided by `choosing`, how long a key rests by `cooldown`; this asks, waits and writes down.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from agents.base.models import PATIENCE_S, Limits, Model, ModelContext, ModelReply, ModelRequest
from agents.base.profiles import (
    Forgetful,
    ModelAtProfile,
    ProfileInfo,
    ProfileState,
    Standing,
    Watch,
)
from agents.models.profile import Profile
from agents.resilience import choosing, cooldown, estimate, plain, shrinking
from agents.resilience.choosing import Candidate, Choice, Nobody, Tried
from agents.resilience.estimate import Scale
from agents.resilience.limiter import Room
from agents.resilience.standings import Standings
from gateway.core.clock import Clock
from gateway.core.errors import ModelAttempt, ModelCategory, ModelFailed

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 24
"""Requests for one answer, whatever the pauses say: eight keys with three models each."""
MAX_WARM = 10_000
"""Conversations whose last key is remembered; the longest unused are forgotten first."""
WARM_MS = 300_000
"""How long providers keep the beginning of a prompt: after it one key is as good as another."""

PROMPT_CUT = (
    "the model server read only part of the conversation; from now on it will be shortened to fit"
)

SURELY = 1.1
"""Times a guess, so that prompt and answer fit together although it was a little low."""

HOPELESS: frozenset[ModelCategory] = frozenset({"overflow", "too_large", "filtered", "bad_request"})
"""Failures of the request itself: nobody else would answer it either."""

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
        self.standings = Standings(self.profiles, state or Forgetful())
        self._clock = clock
        self._strategy = strategy
        self._warm: OrderedDict[str, _Warm] = OrderedDict()
        self._turn = 0
        self.rooms: dict[tuple[str, str], Room] = {}
        self._watching: list[Watch] = []
        self._scales: dict[str, Scale] = {}

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
        search = _Search(self, request, context)
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

    def limits(self, models: tuple[str, ...]) -> Limits:
        """What is known of the model that would be asked first now."""
        now_ms = self._clock.now_ms()
        able = choosing.candidates(models, self.profiles)
        ready = (
            one
            for one in able
            if cooldown.ready_ms(self.standings.of(*one.key), now_ms=now_ms) <= now_ms
        )
        first = next(ready, able[0] if able else None)
        if first is None:
            return Limits()
        return Limits(self.window(first), round(self.scale(first.model).ratio, 3))

    def seen(self) -> tuple[ProfileInfo, ...]:
        """The profiles and how their models do, without keys."""
        now_ms = self._clock.now_ms()
        return tuple(self._info(profile, now_ms) for profile in self.profiles)

    def clear(self, profile: str = "") -> int:
        """End the pauses of one profile, or of all; returns how many records were forgotten."""
        return self.standings.clear(profile)

    def watch(self, watch: Watch) -> None:
        """Tell this one of every request from now on."""
        self._watching.append(watch)

    def ended(self, attempt: ModelAttempt, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """A request has ended."""
        for watch in self._watching:
            watch(attempt, input_tokens, output_tokens)

    def _info(self, profile: Profile, now_ms: int) -> ProfileInfo:
        learnt = (model for name, model in self.standings.all() if name == profile.name)
        wanted = (model for model in self.models if profile.serves(model))
        names = dict.fromkeys((*profile.models, *wanted, *filter(None, learnt)))
        return ProfileInfo(
            profile.name,
            profile.base_url,
            profile.tools,
            profile.images,
            profile.window,
            tuple(self._at(Candidate(profile, model), now_ms) for model in names),
        )

    def _at(self, candidate: Candidate, now_ms: int) -> ModelAtProfile:
        standing = self.standings.of(*candidate.key)
        ready_ms = cooldown.ready_ms(standing, now_ms=now_ms)
        resting = ready_ms > now_ms
        return ModelAtProfile(
            candidate.model,
            "resting" if resting else "ready",
            standing.category,
            standing.failures,
            ready_ms if resting else 0,
            standing.ok_ms,
            self.window(candidate),
        )

    def window(self, candidate: Candidate) -> int:
        """How many tokens it takes: as the settings say, or less if the server said so."""
        learnt = self.standings.of(*candidate.key).window
        said = candidate.profile.window
        return min(learnt, said) if learnt and said else learnt or said

    def scale(self, model: str) -> Scale:
        """How this model counts."""
        return self._scales.setdefault(model, Scale())

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
        unable = "" if by.profile.tools else ", which cannot use tools"
        return f"answered by {by.model}{unable}, because {wanted} is not available right now"


class _Search:
    """The way to one answer."""

    def __init__(self, policy: Resilient, request: ModelRequest, context: ModelContext) -> None:
        self._policy = policy
        self._request = request
        self._context = context
        self._session = "" if context.aside else context.session
        self._guessed = estimate.of_request(request)
        self._able, self._small = self._fitting(policy.able(request, self._session))
        self._tried = Tried()
        self._failures: list[tuple[Candidate, ModelFailed]] = []
        self._patience_ms = round(context.patience_s * 1000)
        self._waited_ms = 0
        self._emitted = False
        self.attempts: list[ModelAttempt] = []

    def _fitting(self, able: list[Candidate]) -> tuple[list[Candidate], int]:
        """Those whose window this fits, and the largest window it does not fit."""
        fitting: list[Candidate] = []
        small = 0
        for one in able:
            window = self._policy.window(one)
            tokens = self._guessed * self._policy.scale(one.model).ratio
            if window and tokens > shrinking.room(window, self._request.max_tokens):
                small = max(small, window)
            else:
                fitting.append(one)
        return fitting, small

    async def run(self) -> ModelReply:
        while len(self.attempts) < MAX_ATTEMPTS:
            choice = self._choose()
            if isinstance(choice, Nobody):
                raise self._given_up(choice)
            if choice.wait_ms > 0:
                await self._wait(choice.wait_ms)
                continue
            reply = await self._ask(choice)
            if reply is not None:
                return reply
        raise self._given_up(Nobody(0))

    def _choose(self) -> Choice | Nobody:
        return choosing.choose(
            self._able,
            self._standing,
            self._tried,
            now_ms=self._context.clock.now_ms(),
            patience_ms=self._patience_ms,
        )

    def _standing(self, candidate: Candidate) -> Standing:
        """How it does; where its limits leave no room, as if it rested until they do."""
        standing = self._policy.standings.of(*candidate.key)
        room = self._policy.rooms.get(candidate.key)
        if room is None:
            return standing
        now_ms = self._context.clock.now_ms()
        background = self._context.patience_s > PATIENCE_S
        until_ms = room.ready_ms(self._guessed, background=background, now_ms=now_ms)
        if until_ms <= max(now_ms, standing.until_ms):
            return standing
        return replace(
            standing,
            failures=max(standing.failures, 1),
            category="rate",
            failed_ms=now_ms - cooldown.PROBE_MS,
            until_ms=until_ms,
        )

    async def _wait(self, wait_ms: int) -> None:
        """Until the pause is over or somebody else was answered by what had failed."""
        clock, recovered = self._context.clock, self._policy.standings.recovered
        began = clock.monotonic()
        try:
            async with clock.timeout(wait_ms / 1000):
                await recovered.wait()
        except TimeoutError:
            pass
        passed_ms = round((clock.monotonic() - began) * 1000)
        self._patience_ms -= passed_ms
        self._waited_ms += passed_ms

    async def _ask(self, choice: Choice) -> ModelReply | None:
        """One request; None when another candidate may do better."""
        candidate, clock = choice.candidate, self._context.clock
        policy, standings = self._policy, self._policy.standings
        if candidate.key in policy.rooms:
            policy.rooms[candidate.key].begin(self._guessed)
        if standings.of(*candidate.key).failures:
            standings.probed(*candidate.key, now_ms=clock.now_ms())
        if self._emitted:
            self._context.restarted()
            self._emitted = False
        began = clock.monotonic()
        waited_ms, self._waited_ms = self._waited_ms, 0

        def attempt(category: ModelCategory | Literal[""]) -> ModelAttempt:
            took_ms = round((clock.monotonic() - began) * 1000)
            return ModelAttempt(*candidate.key, choice.why, category, waited_ms, took_ms)

        request = plain.fitted(
            self._request, candidate.profile, candidate.model, output=self._output(candidate)
        )
        context = replace(self._context, emit=self._emit)
        try:
            reply = await policy.client(candidate.profile.name).complete(request, context)
        except ModelFailed as error:
            self.attempts.append(attempt(error.category))
            policy.ended(self.attempts[-1])
            self._failed(candidate, error)
            return None
        self.attempts.append(attempt(""))
        policy.ended(self.attempts[-1], reply.usage.input_tokens, reply.usage.output_tokens)
        if reply.left is not None:
            policy.rooms[candidate.key] = Room(reply.left)
        standings.succeeded(*candidate.key, now_ms=clock.now_ms())
        notices = [
            policy.answered(self._session, candidate, self._request.model),
            self._counted(candidate, request, reply.usage.input_tokens),
        ]
        notice = "; ".join(filter(None, notices))
        return replace(reply, attempts=tuple(self.attempts), notice=notice)

    def _counted(self, candidate: Candidate, request: ModelRequest, counted: int) -> str:
        """Learn from the provider's count; some cut a prompt that is too long, and say nothing."""
        guessed = self._guessed
        if request is not self._request:
            guessed = estimate.of_request(request)
        if self._policy.scale(candidate.model).learn(guessed, counted):
            return ""
        # The window in which just this much is the room of a prompt, see `shrinking.room`.
        window = min(counted + request.max_tokens, counted * 4 // 3)
        self._policy.standings.learn_window(*candidate.key, window)
        log.warning(
            "model.prompt_cut",
            profile=candidate.profile.name,
            model=candidate.model,
            guessed=guessed,
            counted=counted,
        )
        return PROMPT_CUT

    def _output(self, candidate: Candidate) -> int:
        """Tokens the answer may have beside this prompt; some servers refuse both together."""
        window, wanted = self._policy.window(candidate), self._request.max_tokens
        if not window:
            return wanted
        tokens = round(SURELY * self._guessed * self._policy.scale(candidate.model).ratio)
        return min(wanted, max(window - tokens, window // 4, 1))

    def _emit(self, text: str) -> None:
        self._emitted = True
        self._context.emit(text)

    def _failed(self, candidate: Candidate, error: ModelFailed) -> None:
        """Write down what it means; raises when nobody else would answer either."""
        standings = self._policy.standings
        standings.learn_window(*candidate.key, error.window)
        if error.category in HOPELESS:
            raise ModelFailed(
                error.category,
                str(error),
                window=error.window or standings.of(*candidate.key).window,
                told=error.told,
                attempts=tuple(self.attempts),
            )
        standings.failed(
            *candidate.key,
            error.category,
            now_ms=self._context.clock.now_ms(),
            hint_ms=error.retry_after_ms,
            alone=len(self._able) == 1,
        )
        self._tried.note(candidate, error.category)
        self._failures.append((candidate, error))
        if not isinstance(self._choose(), Nobody):
            log.warning(
                "model.failed_over",
                profile=candidate.profile.name,
                model=candidate.model,
                category=error.category,
                reason=str(error),
            )

    def _given_up(self, nobody: Nobody) -> ModelFailed:
        """The failure to tell of: of those who come back, the soonest, for it says when."""
        attempts = tuple(self.attempts)
        now_ms = self._context.clock.now_ms()
        if self._small:  # somebody could answer a shorter prompt
            said = f"the prompt has about {self._guessed} tokens and the model takes {self._small}"
            return ModelFailed("overflow", said, window=self._small, attempts=attempts)
        if not self._able:
            return ModelFailed("not_found", f"no profile serves {self._request.model!r}")
        if not self._failures:
            resting = min(self._able, key=lambda one: self._standing(one).until_ms)
            standing = self._standing(resting)
            category = _category(standing.category)
            return ModelFailed(
                category,
                f"every model is in a pause; {resting.model!r} of profile "
                f"{resting.profile.name!r} after {category}",
                retry_after_ms=nobody.back_ms or None,
            )
        _, told = min(
            self._failures,
            key=lambda pair: cooldown.ready_ms(self._standing(pair[0]), now_ms=now_ms),
        )
        return ModelFailed(
            told.category,
            str(told),
            retry_after_ms=nobody.back_ms or told.retry_after_ms,
            told=told.told if len(self._able) == 1 else "",
            attempts=attempts,
        )


def _category(word: str) -> ModelCategory:
    return next((known for known in cooldown.PAUSES_S if known == word), "server")
