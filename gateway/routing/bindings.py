"""One route binding: which messages it is about, and the agent that answers them.

A match is a conjunction: every field that is set must equal the message's, compared exactly as
given. How specific a binding is follows from its fields and is never stated beside them. Bindings
are made by `gateway.routing.entry` and ordered by `gateway.routing.table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from itertools import combinations
from urllib.parse import quote

from gateway.core.ids import AgentId
from gateway.core.keys import DEFAULT_ACCOUNT, UNKNOWN_CHANNEL, RouteKey
from gateway.routing.problems import Problem


class Tier(IntEnum):
    """How specific a rule is; lower tiers are asked first."""

    CONVERSATION = 1
    """A peer, a group or a thread. One tier, because none contains the others: a peer is in many
    groups. Which of them goes first is said by priority, then by position."""
    GUILD = 2
    ACCOUNT = 3
    CHANNEL = 4
    DEFAULT = 5


class Source(StrEnum):
    """Where a rule lives, and so who may change it."""

    DECLARED = "declared"
    """In the route file: changed by editing it."""
    ADDED = "added"
    """In the store: set and removed while the gateway runs."""


# In the order people read a place, widest first.
_TIERS = {
    "channel": Tier.CHANNEL,
    "account": Tier.ACCOUNT,
    "guild": Tier.GUILD,
    "group": Tier.CONVERSATION,
    "thread": Tier.CONVERSATION,
    "peer": Tier.CONVERSATION,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Why a rule did not match, for one field."""

    field: str
    wanted: str
    came: str


@dataclass(frozen=True, slots=True)
class Match:
    """The fields a message must have; an empty one asks for nothing, all empty is every message."""

    channel: str = ""
    account: str = ""
    guild: str = ""
    group: str = ""
    thread: str = ""
    peer: str = ""

    @property
    def tier(self) -> Tier:
        """The tier of the most specific field."""
        return min((_TIERS[field] for field, _ in self._wanted()), default=Tier.DEFAULT)

    def differences(self, route: RouteKey) -> tuple[Difference, ...]:
        """What keeps the route from matching; nothing does when this is empty."""
        return tuple(
            Difference(field, wanted, came)
            for field, wanted in self._wanted()
            if (came := getattr(route, field)) != wanted
        )

    def covering(self) -> Iterator[Match]:
        """Every match that accepts all this one accepts, itself first, the default last."""
        wanted = self._wanted()
        for size in range(len(wanted), -1, -1):
            for kept in combinations(wanted, size):
                yield Match(**dict(kept))

    def __str__(self) -> str:
        words = [f"{field}={_escape(wanted)}" for field, wanted in self._wanted()]
        return ",".join(words) or "default"

    def _wanted(self) -> tuple[tuple[str, str], ...]:
        return tuple((field, wanted) for field in _TIERS if (wanted := getattr(self, field)))


@dataclass(frozen=True, slots=True)
class Binding:
    """A rule: messages that match go to the agent, if no rule before it took them.

    `origin` is the JSON path it was read from, `order` its place among those of its source.
    """

    id: str
    agent: AgentId
    match: Match
    priority: int = 0
    source: Source = Source.DECLARED
    origin: str = "$"
    order: int = 0

    @property
    def tier(self) -> Tier:
        return self.match.tier

    @property
    def rank(self) -> tuple[Tier, int, bool, int]:
        """What rules are sorted by: tier, highest priority, declared before added, position."""
        return (self.tier, -self.priority, self.source is Source.ADDED, self.order)


def derived_id(agent: AgentId, match: Match) -> str:
    """The id of a rule that was given none: the same rule has it wherever it stands in a list."""
    return f"{agent}:{match}"


def _escape(value: str) -> str:
    return quote(value, safe="@+/", errors="surrogatepass")


def id_clashes(bindings: Iterable[Binding]) -> tuple[Problem, ...]:
    """One problem for every id that an earlier binding has."""
    owners: dict[str, Binding] = {}
    clashes = []
    for binding in bindings:
        if owner := owners.get(binding.id):
            message = (
                f"{binding.id!r} is the id of the {owner.source} rule at {owner.origin} as well;"
                " give the declared one another"
            )
            clashes.append(Problem(f"{binding.origin}.id", message))
        else:
            owners[binding.id] = binding
    return tuple(clashes)


def completed(route: RouteKey) -> RouteKey:
    """The route with the words for a missing channel and a missing account filled in."""
    if route.channel and route.account:
        return route
    return replace(
        route,
        channel=route.channel or UNKNOWN_CHANNEL,
        account=route.account or DEFAULT_ACCOUNT,
    )
