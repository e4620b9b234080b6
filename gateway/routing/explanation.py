"""Why a message goes to an agent: every rule that was asked, in order, and what decided.

An explanation is the decision itself, kept; `gateway.routing.table` makes it, and its `resolve`
returns nothing but the outcome found here. The text form is for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey
from gateway.routing.bindings import Binding, Difference


class Why(StrEnum):
    """What decided."""

    OVERRIDE = "override"
    """The sender named the agent; no rule was asked."""
    BINDING = "binding"
    DEFAULT = "default"
    """No rule matched."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The agent that answers; `binding` is the rule that won, if a rule decided."""

    agent: AgentId
    why: Why
    binding: Binding | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nobody answers; `message` says what is missing and what to do."""

    message: str
    why: Why
    binding: Binding | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule that was asked; it matched when nothing differs."""

    binding: Binding
    differences: tuple[Difference, ...]

    @property
    def matched(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole decision on one route. The last trial is the one that matched, if any did."""

    route: RouteKey
    tried: tuple[Trial, ...]
    not_tried: int
    outcome: Resolution | Refusal

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"route {self.route}"
        for trial in self.tried:
            rule = trial.binding
            reasons = "; ".join(
                f"{difference.field} is {difference.came!r}, not {difference.wanted!r}"
                for difference in trial.differences
            )
            rank = f"tier {rule.tier} {rule.tier.name.lower()}, priority {rule.priority}"
            verdict = "won" if trial.matched else "no "
            yield f"  {verdict} {rule.id} ({rank}): {reasons or 'matches'}"
        if self.not_tried:
            yield f"  {self.not_tried} further rules were not asked"
        match self.outcome:
            case Resolution(agent=agent, why=why, binding=binding):
                where = f" {binding.id}, {binding.source} at {binding.origin}" if binding else ""
                yield f"agent {agent}, by {why}{where}"
            case Refusal(message=message):
                yield f"refused: {message}"
            case _:
                assert_never(self.outcome)
