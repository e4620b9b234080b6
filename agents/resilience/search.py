"""The way to one answer: ask, write down, wait, ask the next.

What it knows of keys and models it is told by its policy; who is next is decided by `choosing`.
Made for one answer and then gone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import structlog

from agents.base.models import PATIENCE_S, Model, ModelContext, ModelReply, ModelRequest
from agents.base.profiles import Standing
from agents.resilience import choosing, cooldown, plain, shrinking
from agents.resilience.choosing import Candidate, Choice, Nobody, Tried
from agents.resilience.limiter import Room
from agents.resilience.scale import Scale
from agents.resilience.standings import Standings
from gateway.core.errors import AttemptEnd, ModelAttempt, ModelCategory, ModelFailed

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 24
"""Requests for one answer, whatever the pauses say: eight keys with three models each."""

PROMPT_CUT = (
    "the model server read only part of the conversation; from now on it will be shortened to fit"
)

SURELY = 1.1
"""Times a guess, so that prompt and answer fit together although it was a little low."""

HOPELESS: frozenset[ModelCategory] = frozenset({"overflow", "too_large", "filtered", "bad_request"})
"""Failures of the request itself: nobody else would answer it either."""


class Policy(Protocol):
    """What a search asks of the policy it searches for."""

    standings: Standings
    rooms: dict[tuple[str, str], Room]

    def able(self, request: ModelRequest, session: str) -> list[Candidate]: ...

    def room(self, candidate: Candidate, now_ms: int) -> Room | None: ...

    def standing(
        self, candidate: Candidate, *, now_ms: int, tokens: int, background: bool
    ) -> Standing: ...

    def window(self, candidate: Candidate) -> int: ...

    def window_as_asked(self, candidate: Candidate, request: ModelRequest) -> int: ...

    def scale(self, model: str) -> Scale: ...

    def client(self, profile: str) -> Model: ...

    def ended(
        self, attempt: ModelAttempt, input_tokens: int = 0, output_tokens: int = 0
    ) -> None: ...

    def answered(self, session: str, by: Candidate, wanted: str) -> str: ...


class Search:
    """The way to one answer."""

    def __init__(self, policy: Policy, request: ModelRequest, context: ModelContext) -> None:
        self._policy = policy
        self._request = request
        self._context = context
        self._session = "" if context.aside else context.session
        self._able, self._small = self._fitting(policy.able(request, self._session))
        self._tried = Tried()
        self._failures: list[tuple[Candidate, ModelFailed]] = []
        self._patience_ms = round(context.patience_s * 1000)
        self._waited_ms = 0
        self._emitted = False
        self.attempts: list[ModelAttempt] = []

    def _fitting(
        self, able: list[Candidate]
    ) -> tuple[list[Candidate], list[tuple[Candidate, int, int]]]:
        """Those whose window this fits, and the others with their window and its size there."""
        fitting: list[Candidate] = []
        small: list[tuple[Candidate, int, int]] = []
        for one in able:
            window, tokens = self._policy.window_as_asked(one, self._request), self._tokens(one)
            if window and tokens > shrinking.room(window, self._request.max_tokens):
                small.append((one, window, tokens))
            else:
                fitting.append(one)
        return fitting, small

    async def run(self) -> ModelReply:
        while len(self.attempts) < MAX_ATTEMPTS:
            choice = self._choose()
            if isinstance(choice, Nobody):
                raise self._given_up(choice)
            if choice.wait_ms > 0:
                if self.attempts:
                    self._context.tried(tuple(self.attempts))
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
        return self._policy.standing(
            candidate,
            now_ms=self._context.clock.now_ms(),
            tokens=self._tokens(candidate),
            background=self._context.patience_s > PATIENCE_S,
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
        room = policy.room(candidate, clock.now_ms())
        if room is not None:
            room.begin(self._tokens(candidate))
        if standings.of(*candidate.key).failures:
            standings.probed(*candidate.key, now_ms=clock.now_ms())
        if self._emitted:
            self._context.restarted()
            self._emitted = False
        began = clock.monotonic()
        waited_ms, self._waited_ms = self._waited_ms, 0

        def attempt(category: AttemptEnd) -> ModelAttempt:
            took_ms = round((clock.monotonic() - began) * 1000)
            return ModelAttempt(*candidate.key, choice.why, category, waited_ms, took_ms)

        if self.attempts:
            self._context.tried((*self.attempts, attempt("unfinished")))
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
            policy.rooms[candidate.key] = Room(reply.left, clock.now_ms())
        elif room is not None:
            room.tokens += reply.usage.output_tokens
        standings.succeeded(*candidate.key, now_ms=clock.now_ms())
        notices = [
            policy.answered(self._session, candidate, self._request.model),
            self._counted(candidate, request, reply.usage.input_tokens),
        ]
        notice = "; ".join(filter(None, notices))
        return replace(reply, attempts=tuple(self.attempts), notice=notice)

    def _counted(self, candidate: Candidate, request: ModelRequest, counted: int) -> str:
        """Learn from the provider's count; some cut a prompt that is too long, and say nothing."""
        if candidate.profile.identity:
            return ""  # the count is of what it was told, and says little of how it counts
        guessed = request.guess
        if self._policy.scale(candidate.model).learn(guessed, counted):
            return ""
        window = shrinking.window_for(counted, request.max_tokens)
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
        tokens = round(SURELY * self._tokens(candidate))
        return min(wanted, max(window - tokens, window // 4, 1))

    def _tokens(self, candidate: Candidate) -> int:
        """How large the prompt is, as this model counts."""
        return round(self._request.guess * self._policy.scale(candidate.model).ratio)

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
                window=self._policy.window_as_asked(candidate, self._request),
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

    def _soon(self, one: Candidate, now_ms: int) -> bool:
        """Whether it is worth a shorter prompt: who rests for long would not answer that either."""
        ready_ms = cooldown.ready_ms(self._standing(one), now_ms=now_ms)
        return not self._able or ready_ms <= now_ms + self._patience_ms

    def _given_up(self, nobody: Nobody) -> ModelFailed:
        """The failure to tell of: of those who come back, the soonest, for it says when."""
        attempts = tuple(self.attempts)
        now_ms = self._context.clock.now_ms()
        shorter = [sizes for one, *sizes in self._small if self._soon(one, now_ms)]
        if shorter:  # somebody could answer a shorter prompt
            window, tokens = max(shorter)
            said = f"the prompt has about {tokens} tokens and the model takes {window}"
            return ModelFailed("overflow", said, window=window, tokens=tokens, attempts=attempts)
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
