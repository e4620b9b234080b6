"""Who may use a scarce thing now: the decision behind every bound on running work. Pure.

A gate hands out a total by these rules, strongest first: one that must be alone has the gate for
itself; people go before background work; principals, then their agents, take turns; a `shared` gate
lets no principal hold more than it leaves free. It has no clock and no loop: `Places` waits for it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from channels.base.messages import SourceClass
from gateway.core.fairness import FairQueue, Shares

UNBOUNDED = 1 << 62
"""Total of a gate that counts and never refuses."""
BACKGROUND = (
    (SourceClass.CRON, 2),
    (SourceClass.HEARTBEAT, 1),
    (SourceClass.NETWORK, 4),
)
"""Places of each background class, however many there are: it has time, and people do not."""


class Party(NamedTuple):
    """On whose behalf a place is wanted; places are shared by it."""

    principal: str
    agent: str = ""
    source: SourceClass = SourceClass.PERSON


@dataclass(frozen=True, slots=True)
class GateRules:
    """How much there is. Of it background work has three quarters, and each class its bound."""

    total: int
    shared: bool = False
    """Whether a principal must leave as much free as it holds: for places that are held long."""
    classes: tuple[tuple[SourceClass, int], ...] = BACKGROUND

    @property
    def background(self) -> int:
        """Background work has a place in any case."""
        return max(self.total * 3 // 4, 1)


class Use(NamedTuple):
    """One bound: how much of it is used, in places or bytes, and how many wait for it."""

    name: str
    used: int
    total: int
    waiting: int

    @property
    def reached(self) -> bool:
        """Whether the next one has to wait, or is refused."""
        return self.waiting > 0 or self.used >= self.total


@dataclass(slots=True, eq=False)
class Claim:
    """One place that is wanted or held; `begins`: it is served behind what the agent has begun."""

    party: Party
    amount: int = 1
    alone: bool = False
    begins: bool = False
    held: bool = field(default=False, init=False)

    @property
    def path(self) -> tuple[str, ...]:
        """The queues it goes through: source, principal, agent. New turns lie one level deeper, so
        they are served after those of the same agent that have begun."""
        owner = (self.party.source, self.party.principal, self.party.agent)
        return (*owner, "begins") if self.begins else owner


class Gate:
    """One scarce thing: who holds it and who waits for it."""

    def __init__(self, rules: GateRules) -> None:
        self.rules = rules
        self._classes = dict(rules.classes)
        self._shares = Shares(rules.total)
        self._by_class: Counter[SourceClass] = Counter()
        self._people: FairQueue[Claim] = FairQueue()
        self._background: FairQueue[Claim] = FairQueue()
        self._alone: deque[Claim] = deque()
        self._holders = 0
        self._lonely = False

    @property
    def used(self) -> int:
        """How much is held."""
        return self._shares.used

    @property
    def waiting(self) -> int:
        """How many claims wait."""
        return len(self._people) + len(self._background) + len(self._alone)

    def use(self, name: str) -> Use:
        """How far it is used, under this name."""
        return Use(name, self.used, self.rules.total, self.waiting)

    def enter(self, claim: Claim) -> bool:
        """Whether a claim holds a place from now on, because there is one and no claim waits."""
        if claim.alone or self.waiting or not self._has_room() or not self._fits(claim):
            return False
        self._hold(claim)
        return True

    def come(self, claim: Claim) -> None:
        """Queue a claim; `admit` says when it is served."""
        if claim.alone:
            self._alone.append(claim)
        else:
            self._queue_of(claim).push(claim, claim.path)

    def withdraw(self, claim: Claim) -> None:
        """Take a waiting claim out of the queue."""
        if claim.alone:
            self._alone.remove(claim)
        else:
            self._queue_of(claim).remove(claim, claim.path)

    def leave(self, claim: Claim) -> None:
        """Take back what a claim holds."""
        self.weigh(claim, 0)
        claim.held = False
        self._holders -= 1
        if claim.alone:
            self._lonely = False

    def weigh(self, claim: Claim, amount: int) -> None:
        """A holder turned out to use this much, whatever the bounds say."""
        more = amount - claim.amount
        claim.amount = amount
        self._shares.add(claim.party.principal, more)
        self._by_class[claim.party.source] += more

    def admit(self) -> Iterator[Claim]:
        """Hand out what is free; yields the claims that hold a place from now on, in order."""
        while self._has_room() and (claim := self._next()) is not None:
            self._hold(claim)
            yield claim

    def _has_room(self) -> bool:
        return not self._lonely and self.used < self.rules.total

    def _hold(self, claim: Claim) -> None:
        claim.held = True
        self._holders += 1
        self._lonely = claim.alone
        self._shares.add(claim.party.principal, claim.amount)
        self._by_class[claim.party.source] += claim.amount

    def _queue_of(self, claim: Claim) -> FairQueue[Claim]:
        return self._people if claim.party.source is SourceClass.PERSON else self._background

    def _next(self) -> Claim | None:
        alone = self._alone[0] if self._alone else None
        urgent = alone is not None and alone.party.source is SourceClass.PERSON
        if not urgent:
            claim = self._people.pop(self._fits)
            if claim is not None or (alone is not None and self._people):
                return claim
        if alone is not None:
            # No claim begins until the holders have left: else it would never be alone.
            return None if self._holders else self._alone.popleft()
        return self._background.pop(self._fits)

    def _fits(self, claim: Claim) -> bool:
        party = claim.party
        if self.rules.shared and not self._shares.admits(party.principal):
            return False
        if party.source is SourceClass.PERSON:
            return True
        behind = self.used - self._by_class[SourceClass.PERSON]
        most = self._classes.get(party.source, self.rules.background)
        return behind < self.rules.background and self._by_class[party.source] < most
