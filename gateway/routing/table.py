"""The rules in the order they are asked, and the decision which agent answers.

Tier first, then the highest priority, then position, declared rules before added ones; the first
rule that matches wins, even when its agent is missing: falling through to another agent would hand
the message to an agent the operator did not choose. Built at load and after each change of rules
or agents; immutable, so a message is decided by one state of the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from gateway.core.errors import Conflict, UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey, normalise_agent_id
from gateway.core.suggestions import did_you_mean
from gateway.routing.bindings import Binding, Match, Source, completed, id_clashes
from gateway.routing.explanation import Explanation, Refusal, Resolution, Trial, Why
from gateway.routing.problems import InvalidRoutes, Problem, Severity


@dataclass(frozen=True, slots=True)
class Table:
    """All rules, sorted; `build` makes one."""

    rules: tuple[Binding, ...]
    agents: frozenset[AgentId]
    default_agent: AgentId | None
    file: str

    @classmethod
    def build(
        cls,
        declared: Iterable[Binding],
        added: Iterable[Binding],
        *,
        agents: Iterable[AgentId],
        default_agent: AgentId | None,
        file: str = "routes.json",
    ) -> Table:
        """Raises `InvalidRoutes` when two rules have one id.

        A rule with an unknown agent does not stop the others: `problems` reports it, and a message
        it wins is refused.
        """
        bindings = (*declared, *added)
        if clashes := id_clashes(bindings):
            raise InvalidRoutes(file, clashes)
        rules = tuple(sorted(bindings, key=lambda binding: binding.rank))
        return cls(rules, frozenset(agents), default_agent, file)

    def resolve(self, route: RouteKey, override: AgentId | None = None) -> Resolution:
        """The agent that answers; raises `UnknownAgent` when there is none."""
        outcome = self.explain(route, override).outcome
        match outcome:
            case Resolution():
                return outcome
            case Refusal():
                raise UnknownAgent(outcome.message)
            case _:
                assert_never(outcome)

    def explain(self, route: RouteKey, override: AgentId | None = None) -> Explanation:
        """The decision with everything that led to it; refusals are part of it."""
        route = completed(route)
        if override is not None:
            return Explanation(route, (), len(self.rules), self._named(override))
        tried = []
        for rule in self.rules:
            trial = Trial(rule, rule.match.differences(route))
            tried.append(trial)
            if trial.matched:
                left = len(self.rules) - len(tried)
                return Explanation(route, tuple(tried), left, self._won(rule))
        return Explanation(route, tuple(tried), 0, self._unmatched())

    def problems(self) -> tuple[Problem, ...]:
        """What the operator should look at, in the order the rules are asked."""
        return (*self._default_problems(), *self._agent_problems(), *self._order_problems())

    def removable(self, agent: AgentId, match: Match) -> tuple[Binding, ...]:
        """The added rules of this agent and match; raises `Conflict` when one is declared."""
        agent = normalise_agent_id(agent)
        return self._added(
            rule for rule in self.rules if (rule.agent, rule.match) == (agent, match)
        )

    def removable_by_id(self, binding_id: str) -> tuple[Binding, ...]:
        """The added rule of this id; raises `Conflict` when it is declared."""
        return self._added(rule for rule in self.rules if rule.id == binding_id)

    def _added(self, rules: Iterable[Binding]) -> tuple[Binding, ...]:
        found = tuple(rules)
        for rule in found:
            if rule.source is Source.DECLARED:
                raise Conflict(
                    f"rule {rule.id!r} is declared in {self.file} at {rule.origin} and nothing was"
                    " removed; edit the file, it is read again by itself"
                )
        return found

    def _named(self, override: AgentId) -> Resolution | Refusal:
        agent = normalise_agent_id(override)
        if agent in self.agents:
            return Resolution(agent, Why.OVERRIDE)
        hint = did_you_mean(agent, self.agents)
        return Refusal(
            f"the message asks for agent {override!r}, which does not exist; {hint}", Why.OVERRIDE
        )

    def _won(self, rule: Binding) -> Resolution | Refusal:
        if rule.agent in self.agents:
            return Resolution(rule.agent, Why.BINDING, rule)
        return Refusal(
            f"rule {rule.id!r} at {rule.origin} {self._missing(rule.agent)}", Why.BINDING, rule
        )

    def _unmatched(self) -> Resolution | Refusal:
        agent = self.default_agent
        if agent is None:
            return Refusal(
                f"no rule matches and {self.file} names no default agent; set default_agent or add"
                " a rule that matches",
                Why.DEFAULT,
            )
        if agent in self.agents:
            return Resolution(agent, Why.DEFAULT)
        return Refusal(f"no rule matches and default_agent {self._missing(agent)}", Why.DEFAULT)

    def _missing(self, agent: AgentId) -> str:
        hint = did_you_mean(agent, self.agents)
        return f"names agent {agent!r}, which does not exist; create it or name another: {hint}"

    def _default_problems(self) -> Iterator[Problem]:
        agent = self.default_agent
        if agent is not None and agent not in self.agents:
            yield Problem("$.default_agent", self._missing(agent))

    def _agent_problems(self) -> Iterator[Problem]:
        for rule in self.rules:
            if rule.agent not in self.agents:
                yield Problem(
                    f"{rule.origin}.agent", f"rule {rule.id!r} {self._missing(rule.agent)}"
                )

    def _order_problems(self) -> Iterator[Problem]:
        """A rule that cannot win, by the nearest rule before it that takes all its messages."""
        asked: dict[Match, Binding] = {}
        for rule in self.rules:
            winner = next((asked[match] for match in rule.match.covering() if match in asked), None)
            if winner is not None:
                yield Problem(rule.origin, _never_wins(rule, winner), Severity.WARNING)
            asked.setdefault(rule.match, rule)


def _never_wins(rule: Binding, winner: Binding) -> str:
    earlier = f"rule {winner.id!r} at {winner.origin}"
    if rule.match != winner.match:
        return (
            f"rule {rule.id!r} can never win: {earlier} is asked before it and takes all its"
            f" messages; give this one a priority above {winner.priority}"
        )
    if rule.agent == winner.agent:
        return f"rule {rule.id!r} repeats {earlier}; remove one of them"
    if rule.priority == winner.priority:
        return (
            f"rule {rule.id!r} conflicts with {earlier}: same match, same priority, agents"
            f" {str(winner.agent)!r} and {str(rule.agent)!r}; the earlier wins, remove one of them"
        )
    return f"rule {rule.id!r} can never win: {earlier} has the same match and the higher priority"
