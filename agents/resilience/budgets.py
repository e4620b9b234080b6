"""Bounds on what turns may use, checked before each call. Pure but for the wrapper at the end.

A call reserves what it may cost at most and settles for what it did cost, so calls side by side do
not pass a bound together. Bounds of a day end at midnight UTC. Zero means no bound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from agents.base.models import Model, ModelContext, ModelReply, ModelRequest
from agents.base.spending import Spending, Spent
from agents.resilience import estimate
from gateway.core.errors import BudgetSpent

DAY_MS = 86_400_000
MAX_TURNS = 10_000
"""Turns and roots whose use is remembered; the longest unused are forgotten first."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Most model calls and tokens, prompts and answers together."""

    turn_calls: int = 0
    turn_tokens: int = 0
    root_tokens: int = 0
    session_day_tokens: int = 0
    agent_day_tokens: int = 0
    day_tokens: int = 0

    @property
    def in_tokens(self) -> bool:
        """Whether tokens have to be counted at all."""
        return bool(self.turn_tokens or self.root_tokens or self.by_day)

    @property
    def by_day(self) -> bool:
        """Whether anything has to be known of the day so far."""
        return bool(self.session_day_tokens or self.agent_day_tokens or self.day_tokens)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is about to call; `root` is the turn that set it all off."""

    turn: str = ""
    root: str = ""
    session: str = ""
    agent: str = ""


@dataclass(slots=True)
class _Use:
    calls: int = 0
    spent: int = 0
    reserved: int = 0

    @property
    def tokens(self) -> int:
        return self.spent + self.reserved


@dataclass(slots=True)
class Ledger:
    """What was used and is reserved, by what bounds it."""

    budget: Budget
    _day: int = 0
    _by_day: dict[str, _Use] = field(default_factory=dict)
    _by_turn: OrderedDict[str, _Use] = field(default_factory=OrderedDict)

    def seed(self, spent: Iterable[Spent], *, now_ms: int) -> None:
        """What was used today, by this process and all others; what is set aside here stays so."""
        self._turn_the_day(now_ms)
        for use in self._by_day.values():
            use.spent = 0
        for row in spent:
            for name in ("day", f"agent {row.agent}", f"session {row.session}"):
                self._by_day.setdefault(name, _Use()).spent += row.tokens

    def reserve(self, caller: Caller, tokens: int, *, now_ms: int) -> None:
        """Set so many tokens and a call aside; raises `BudgetSpent` and sets nothing aside."""
        self._turn_the_day(now_ms)
        midnight_ms = (self._day + 1) * DAY_MS
        bounds = self._bounds(caller)
        for name, use, most in bounds:
            if most and use.tokens + tokens > most:
                daily = name in self._by_day
                when = "it starts anew at midnight UTC" if daily else "ask for a smaller step"
                raise BudgetSpent(
                    f"The budget of this {name.split()[0]} is spent: {use.tokens} of {most} tokens "
                    f"are used and this needs up to {tokens} more; {when}",
                    retry_after_ms=midnight_ms - now_ms if daily else None,
                )
        turn = bounds[0][1]
        if self.budget.turn_calls and turn.calls >= self.budget.turn_calls:
            raise BudgetSpent(
                f"The budget of this turn is spent: {turn.calls} model calls were made and no more "
                "are allowed; ask for a smaller step"
            )
        for _, use, _ in bounds:
            use.reserved += tokens
            use.calls += 1

    def settle(self, caller: Caller, reserved: int, used: int) -> None:
        """It cost this instead; what failed costs nothing that anybody counted."""
        for _, use, _ in self._bounds(caller):
            # A day may have ended in between: what it forgot is not given back to the next.
            use.reserved = max(use.reserved - reserved, 0)
            use.spent += used

    def _bounds(self, caller: Caller) -> list[tuple[str, _Use, int]]:
        budget = self.budget
        day = [
            (f"session {caller.session}", budget.session_day_tokens),
            (f"agent {caller.agent}", budget.agent_day_tokens),
            ("day", budget.day_tokens),
        ]
        turn = [
            (f"turn {caller.turn}", budget.turn_tokens),
            (f"task {caller.root or caller.turn}", budget.root_tokens),
        ]
        found = [(name, self._turn(name), most) for name, most in turn]
        return found + [
            (name, self._by_day.setdefault(name, _Use()), most) for name, most in day if most
        ]

    def _turn(self, name: str) -> _Use:
        use = self._by_turn.pop(name, None) or _Use()
        self._by_turn[name] = use
        if len(self._by_turn) > 2 * MAX_TURNS:
            self._by_turn.popitem(last=False)
        return use

    def _turn_the_day(self, now_ms: int) -> None:
        day = now_ms // DAY_MS
        if day != self._day:
            self._day = day
            self._by_day.clear()


class Budgeted:
    """A model that is asked only as long as there is budget for it."""

    def __init__(self, model: Model, budget: Budget, spending: Spending, now_ms: int) -> None:
        self._model = model
        self._ledger = Ledger(budget)
        self._spending = spending
        self._began_ms = now_ms

    async def open(self) -> None:
        """Read what the day has cost so far, then make the model ready."""
        await self.refresh(self._began_ms)
        await self._model.open()

    async def refresh(self, now_ms: int) -> None:
        """Read what the day has cost so far, at this process and at others."""
        if self._ledger.budget.by_day:
            spent = await self._spending.since(now_ms - now_ms % DAY_MS)
            self._ledger.seed(spent, now_ms=now_ms)

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """Ask within the budget; raises `BudgetSpent` instead of asking, or `ModelFailed`."""
        caller = Caller(context.turn, context.root, context.session, context.agent)
        counting = self._ledger.budget.in_tokens
        reserved = estimate.of_request(request) + request.max_tokens if counting else 0
        self._ledger.reserve(caller, reserved, now_ms=context.clock.now_ms())
        used = 0
        try:
            reply = await self._model.complete(request, context)
            used = reply.usage.input_tokens + reply.usage.output_tokens
            if counting and not used:
                used = estimate.of_request(request) + estimate.of_text(reply.text)
            return reply
        finally:
            self._ledger.settle(caller, reserved, used if counting else 0)

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()
