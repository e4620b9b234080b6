"""The way to one answer: ask, write down, wait, ask the next.

What is known of keys and models is in `key_state`; who is next is decided by `choosing`.
Made for one answer and then gone.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

import structlog

from agents.base.models import PATIENCE_S, Model, ModelContext, ModelReply, ModelRequest
from agents.base.profiles import Standing
from agents.failures import EMPTY
from agents.resilience import (
    answers,
    choosing,
    consequences,
    cooldown,
    giving_up,
    queueing,
    shrinking,
)
from agents.resilience.choosing import Candidate, Choice, Nobody, Tried
from agents.resilience.consequences import Failed
from agents.resilience.key_state import KeyState
from agents.resilience.limiter import Room
from agents.resilience.line import Line, Ticket
from agents.resilience.rewording import Rewording
from gateway.core.errors import AttemptEnd, ModelAttempt, ModelCategory, ModelFailed

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 24
"""Requests for one answer, whatever the pauses say: eight keys with three models each."""

HOPELESS: frozenset[ModelCategory] = frozenset({"overflow", "too_large", "filtered", "bad_request"})
"""Failures of the request itself: no other candidate would answer it either."""


class Policy(Protocol):
    """Who may be asked, and who hears of each request."""

    def able(self, request: ModelRequest, session: str) -> list[Candidate]:
        """Every candidate for this request, best first."""
        ...

    def client(self, profile: str) -> Model:
        """What asks there."""
        ...

    def ended(self, attempt: ModelAttempt, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """A request has ended."""
        ...

    def answered(self, session: str, by: Candidate, wanted: str) -> str:
        """A session was answered; returns what people are told of it."""
        ...


class Search:
    """The way to one answer."""

    def __init__(
        self, policy: Policy, keys: KeyState, request: ModelRequest, context: ModelContext
    ) -> None:
        self._policy = policy
        self._keys = keys
        self._request = request
        self._context = context
        self._session = "" if context.aside else context.session
        self._suspect = context.session or context.root
        self._able, self._small = _by_size(keys, policy.able(request, self._session), request)
        self._tried = Tried()
        self._failures: list[tuple[Candidate, ModelFailed]] = []
        self._again: Choice | None = None
        """The same request to the same candidate, in another form."""
        self._rewording = Rewording(request, self._tokens)
        self._doubted: tuple[Candidate, ModelFailed] | None = None
        """Who refused without a known reason, and how: another model or server is asked once."""
        self._patience_ms = round(context.patience_s * 1000)
        self._waited_ms = 0
        self._emitted = False
        self.attempts: list[ModelAttempt] = []

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
            reply = await self._in_line(choice)
            if reply is not None:
                return reply
        raise self._given_up(Nobody(0))

    def _choose(self) -> Choice | Nobody:
        """Who is asked next; at the same model, one without a line rather than one with."""
        choice, keys = self._choice(self._able), self._keys
        if isinstance(choice, Nobody) or keys.line(choice.candidate).has_room:
            return choice
        model, tries = choice.candidate.model, self._tried.count[choice.candidate.key]
        free = [one for one in self._able if one.model == model and keys.line(one).has_room]
        other = self._choice(free)
        if isinstance(other, Nobody) or other.wait_ms or other.why == "probe":
            return choice
        return other if self._tried.count[other.candidate.key] <= tries else choice

    async def _in_line(self, choice: Choice) -> ModelReply | None:
        """Ask once the profile has a place for it, in every form the server wants; None when
        another candidate may do better, because of a failure or of news since."""
        clock, began = self._context.clock, self._context.clock.monotonic()
        line = self._keys.line(choice.candidate)
        path = (self._context.principal or self._suspect, self._suspect)
        ticket = Ticket(path, self._context.patience_s > PATIENCE_S)
        async with queueing.in_line(line, ticket, self._context.queued) as waited:
            if waited:
                self._waited_ms += round((clock.monotonic() - began) * 1000)
                standing, now_ms = self._standing(choice.candidate), clock.now_ms()
                if cooldown.ready_ms(standing, now_ms=now_ms) > now_ms:
                    return None
            reply = await self._ask(choice, line)
            while reply is None and self._again is not None:
                again, self._again = self._again, None
                reply = await self._ask(again, line)
            return reply

    def _choice(self, able: list[Candidate]) -> Choice | Nobody:
        return choosing.choose(
            able,
            self._standing,
            self._tried,
            now_ms=self._context.clock.now_ms(),
            patience_ms=self._patience_ms,
        )

    def _standing(self, candidate: Candidate) -> Standing:
        return self._keys.standing(
            candidate,
            now_ms=self._context.clock.now_ms(),
            session=self._suspect,
            tokens=self._tokens(candidate),
            background=self._context.patience_s > PATIENCE_S,
        )

    async def _wait(self, wait_ms: int) -> None:
        """Until the pause is over, or what had failed has answered another session."""
        clock, recovered = self._context.clock, self._keys.standings.recovered
        began = clock.monotonic()
        try:
            async with clock.timeout(wait_ms / 1000):
                await recovered.wait()
        except TimeoutError:
            pass
        passed_ms = round((clock.monotonic() - began) * 1000)
        self._patience_ms -= passed_ms
        self._waited_ms += passed_ms

    async def _ask(self, choice: Choice, line: Line) -> ModelReply | None:
        """One request; None when another candidate may do better."""
        candidate, clock = choice.candidate, self._context.clock
        policy, room = self._policy, self._leaving(candidate)
        began, began_ms = clock.monotonic(), clock.now_ms()
        waited_ms, self._waited_ms = self._waited_ms, 0

        def attempt(category: AttemptEnd) -> ModelAttempt:
            took_ms = round((clock.monotonic() - began) * 1000)
            return ModelAttempt(*candidate.key, choice.why, category, waited_ms, took_ms)

        if self.attempts:
            self._context.tried((*self.attempts, attempt("unfinished")))
        request = self._rewording.fitted(candidate, self._keys.abilities(candidate))
        try:
            reply = await self._sent(candidate, request)
        except asyncio.CancelledError:
            policy.ended(attempt("unfinished"))
            raise
        except ModelFailed as error:
            self.attempts.append(attempt(error.category))
            policy.ended(self.attempts[-1])
            self._again = self._otherwise(candidate, error, request)
            if self._again is None:
                if consequences.of_crowding(
                    self._keys, self._what_failed(candidate, error, began_ms)
                ):
                    line.pressed(began_ms=began_ms, now_ms=clock.now_ms())
                self._failed(candidate, error, request, began_ms)
            return None
        line.answered()
        self.attempts.append(attempt(""))
        policy.ended(self.attempts[-1], reply.usage.input_tokens, reply.usage.output_tokens)
        if reply.left is None and room is not None:
            room.tokens += reply.usage.output_tokens
        self._answered(candidate, reply, clock.now_ms())
        cut = answers.learnt_from(
            self._keys, answers.Answered(candidate, request, reply, clock.now_ms())
        )
        changed = policy.answered(self._session, candidate, self._request.model)
        notice = "; ".join(filter(None, (changed, cut)))
        return replace(reply, attempts=tuple(self.attempts), notice=notice)

    def _leaving(self, candidate: Candidate) -> Room | None:
        """Count a request that is about to leave; returns what is left of its limits."""
        now_ms = self._context.clock.now_ms()
        room = self._keys.leaving(candidate, self._tokens(candidate), now_ms)
        if self._emitted:
            self._context.restarted()
            self._emitted = False
        return room

    async def _sent(self, candidate: Candidate, request: ModelRequest) -> ModelReply:
        """The client's answer, while its server's signs of life are noted."""
        signs, name = self._keys.signs, candidate.profile.name

        def emit(text: str) -> None:
            if not self._emitted:
                self._emitted = True
                signs.began(name)
            self._context.emit(text)

        try:
            client = self._policy.client(name)
            return await client.complete(request, replace(self._context, emit=emit))
        finally:
            if self._emitted:
                signs.ended(name, self._context.clock.now_ms())

    def _answered(self, candidate: Candidate, reply: ModelReply, now_ms: int) -> None:
        """Write down that it answered; who refused the same request unexplained is suspect."""
        self._keys.answered(candidate, self._suspect, self._request, now_ms=now_ms, left=reply.left)
        if self._doubted is not None:
            doubted, error = self._doubted
            failed = self._what_failed(doubted, error, now_ms)
            consequences.of_suspicion(self._keys, failed)

    def _tokens(self, candidate: Candidate) -> int:
        """How large the prompt is, as this model counts."""
        return self._keys.tokens(candidate, self._request)

    def _otherwise(
        self, candidate: Candidate, error: ModelFailed, sent: ModelRequest
    ) -> Choice | None:
        """Learn what the refusal tells; the same request in the form it asks for, where it does."""
        keys, blame, now_ms = self._keys, error.blame, self._context.clock.now_ms()
        keys.standings.learn_window(*candidate.key, error.window, now_ms=now_ms)
        keys.standings.learn_output(*candidate.key, blame.output, now_ms=now_ms)
        able = keys.abilities(candidate)
        reworded = self._rewording.after(candidate, able, error, sent)
        if reworded is None:
            unknown = blame.subject == "request" and not blame.certain
            alone = unknown and self._doubted is None and not self._others(candidate)
            return self._plainer(candidate, sent) if alone else None
        if reworded.lacks:
            keys.standings.learn_lack(*candidate.key, reworded.lacks, now_ms=now_ms)
            log.warning(
                "model.member_refused",
                profile=candidate.profile.name,
                model=candidate.model,
                member=reworded.lacks,
                reason=str(error),
            )
        return Choice(candidate, 0, reworded.why)

    def _plainer(self, candidate: Candidate, sent: ModelRequest) -> Choice | None:
        """The same request without its pictures, which may be what was too much, else without the
        thoughts of earlier answers."""
        reworded = self._rewording.blinded(candidate, sent)
        if reworded is None:
            reworded = self._rewording.without_thoughts(candidate, sent)
        return Choice(candidate, 0, reworded.why) if reworded is not None else None

    def _failed(
        self, candidate: Candidate, error: ModelFailed, sent: ModelRequest, began_ms: int
    ) -> None:
        """Write down what it means; raises when no other candidate would answer either."""
        blame = error.blame
        if blame.subject == "request":
            others = [] if blame.certain or self._doubted is not None else self._others(candidate)
            if not others:
                raise self._shorter(candidate, error) or self._refused(candidate, error)
            self._doubted, self._able = (candidate, error), others
        else:
            failed = self._what_failed(candidate, error, began_ms)
            consequence = consequences.of_failure(self._keys, failed)
            own = consequence == "request" and failed.alone and self._doubted is None
            if own or (self._tried.count[candidate.key] and not blame.certain):
                self._again = self._plainer(candidate, sent)
            if own and self._again is None:
                shorter = self._shorter(candidate, error, own=True)
                raise shorter or giving_up.own_fault(error, tuple(self.attempts))
            if error.told == EMPTY and not self._tried.count[candidate.key]:
                self._again = Choice(candidate, 0, "again")  # thinking models do that at times
            self._tried.note(candidate, error.category, rests=consequence != "nothing")
            self._failures.append((candidate, error))
        if self._again is not None or not isinstance(self._choose(), Nobody):
            log.warning(
                "model.failed_over",
                profile=candidate.profile.name,
                model=candidate.model,
                category=error.category,
                subject=blame.subject,
                reason=str(error),
            )

    def _refused(self, candidate: Candidate, error: ModelFailed) -> ModelFailed:
        """The failure that ends the search: of those unexplained, the first one's."""
        if self._doubted is not None:
            candidate, error = self._doubted
        window = self._keys.window_as_asked(candidate, self._request)
        return giving_up.refused(error, window, self._tokens(candidate), tuple(self.attempts))

    def _others(self, candidate: Candidate) -> list[Candidate]:
        now_ms = self._context.clock.now_ms()
        return choosing.elsewhere(candidate, self._able, self._standing, now_ms=now_ms)

    def _shorter(
        self, candidate: Candidate, error: ModelFailed, *, own: bool = False
    ) -> ModelFailed | None:
        """The failure that asks for a shorter prompt, where nothing else explains this one."""
        tokens = self._tokens(candidate)
        if (error.blame.certain and not own) or not self._keys.longest.worth_shortening(
            candidate.key, self._suspect, tokens, certainly=own
        ):
            return None
        said = f"{error}; shorter prompts are answered"
        return ModelFailed("overflow", said, tokens=tokens, attempts=tuple(self.attempts))

    def _what_failed(self, candidate: Candidate, error: ModelFailed, began_ms: int) -> Failed:
        now_ms, alone = self._context.clock.now_ms(), len(self._able) == 1
        silent = not self._emitted
        return Failed(candidate, error, self._suspect, began_ms, now_ms, silent, alone)

    def _given_up(self, nobody: Nobody) -> ModelFailed:
        if self._doubted is not None:
            return self._refused(*self._doubted)
        if self._failures and self._failures[-1][1].blame.subject == "server":
            shorter = self._shorter(*self._failures[-1])
            if shorter is not None:
                return shorter
        return giving_up.failure_of(
            giving_up.Search(
                self._request.model,
                self._able,
                self._small,
                self._failures,
                tuple(self.attempts),
                self._standing,
                self._context.clock.now_ms(),
                self._patience_ms,
                nobody.back_ms,
            )
        )


def _by_size(
    keys: KeyState, able: list[Candidate], request: ModelRequest
) -> tuple[list[Candidate], list[tuple[Candidate, int, int]]]:
    """Those whose window a request fits, and the others with their window and its size there."""
    fitting: list[Candidate] = []
    small: list[tuple[Candidate, int, int]] = []
    for one in able:
        window, tokens = keys.window_as_asked(one, request), keys.tokens(one, request)
        if window and tokens > shrinking.room(window, request.max_tokens):
            small.append((one, window, tokens))
        else:
            fitting.append(one)
    return fitting, small
