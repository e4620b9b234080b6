"""Bounds on what turns may use, checked before each call. Pure but for the wrapper at the end.

A call reserves what it may cost at most and settles for what it did cost, so calls side by side do
not pass a bound together. Bounds of a day end at midnight UTC. Zero means no bound. Nothing here
outlives the process: what was used before is told by the records of turns and costs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from agents.base import size
from agents.base.models import Model, ModelContext, ModelReply, ModelRequest, Usage
from agents.base.spending import Spending, Spent
from gateway.core.errors import BudgetSpent, ModelFailed, StoreUnavailable

T = TypeVar("T")

DAY_MS = 86_400_000
MAX_ROOTS = 10_000
"""Roots whose use is remembered; the longest unused are forgotten first, and read again."""
NOT_READ = "What this task has used so far could not be read; send the message again."


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
    """Who is about to call; `root` is the turn that set it all off.

    `calls` and `tokens` are what its turn has used so far: it makes one call at a time.
    """

    root: str = ""
    session: str = ""
    agent: str = ""
    calls: int = 0
    tokens: int = 0


@dataclass(slots=True)
class _Use:
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
    _by_root: OrderedDict[str, _Use] = field(default_factory=OrderedDict)

    def seed(self, spent: Iterable[Spent], *, now_ms: int) -> None:
        """What was used today, by this process and all others; what is set aside here stays so."""
        self._turn_the_day(now_ms)
        for use in self._by_day.values():
            use.spent = 0
        for row in spent:
            for name in ("day", f"agent {row.agent}", f"session {row.session}"):
                self._by_day.setdefault(name, _Use()).spent += row.tokens

    def is_of(self, now_ms: int) -> bool:
        """Whether what is known is of this day; false at midnight, and when the clock jumped."""
        return now_ms // DAY_MS == self._day

    def know(self, root: str, tokens: int) -> None:
        """So many tokens are on record under a root, by this process and all others; what was used
        here may not be yet."""
        use = self._root(root)
        use.spent = max(use.spent, tokens)

    def reserve(self, caller: Caller, tokens: int, *, now_ms: int) -> None:
        """Set so many tokens aside; raises `BudgetSpent` and sets nothing aside."""
        self._turn_the_day(now_ms)
        midnight_ms = (self._day + 1) * DAY_MS
        bounds = self._bounds(caller)
        turn = ("turn", _Use(caller.tokens), self.budget.turn_tokens)
        for name, use, most in (turn, *bounds):
            if most and use.tokens + tokens > most:
                daily = name in self._by_day
                when = "it starts anew at midnight UTC" if daily else "ask for a smaller step"
                raise BudgetSpent(
                    f"The budget of this {name.split()[0]} is spent: {use.tokens} of {most} tokens "
                    f"are used and this needs up to {tokens} more; {when}",
                    retry_after_ms=midnight_ms - now_ms if daily else None,
                )
        if self.budget.turn_calls and caller.calls >= self.budget.turn_calls:
            raise BudgetSpent(
                f"The budget of this turn is spent: {caller.calls} model calls were made and no "
                "more are allowed; ask for a smaller step"
            )
        for _, use, _ in bounds:
            use.reserved += tokens

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
        bounds = [(name, self._by_day.setdefault(name, _Use()), most) for name, most in day if most]
        if budget.root_tokens:
            bounds.insert(0, ("task", self._root(caller.root), budget.root_tokens))
        return bounds

    def _root(self, root: str) -> _Use:
        use = self._by_root.pop(root, None) or _Use()
        self._by_root[root] = use
        if len(self._by_root) > MAX_ROOTS:
            self._by_root.popitem(last=False)
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
        """Ask within the budget; raises `BudgetSpent` instead of asking, or `ModelFailed`.

        Where tokens are bounded and the server does not count, our guess is what it cost.
        """
        caller = Caller(context.root, context.session, context.agent, context.calls, context.tokens)
        counting, now_ms = self._ledger.budget.in_tokens, context.clock.now_ms()
        if not self._ledger.is_of(now_ms):
            await self._read(self.refresh(now_ms))
        if self._ledger.budget.root_tokens:
            self._ledger.know(context.root, await self._read(self._spending.under(context.root)))
        reserved = request.guess + request.max_tokens if counting else 0
        self._ledger.reserve(caller, reserved, now_ms=context.clock.now_ms())
        used = 0
        try:
            reply = await self._model.complete(request, context)
            if counting and reply.usage == Usage():
                guess = Usage(request.guess, size.of_text(reply.text))
                reply = replace(reply, usage=guess)
            used = reply.usage.input_tokens + reply.usage.output_tokens
            return reply
        finally:
            self._ledger.settle(caller, reserved, used)

    async def _read(self, reading: Awaitable[T]) -> T:
        try:
            return await reading
        except StoreUnavailable as error:
            raise ModelFailed("server", f"costs cannot be read: {error}", told=NOT_READ) from error

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()
