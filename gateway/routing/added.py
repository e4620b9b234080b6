"""Route rules added while the gateway runs: kept in the store, asked together with the declared.

Checked like the rules of the route file, and stricter: a rule for an agent that is not there is
refused. One change at a time; a message is routed by the rules before it or after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gateway.core.clock import Clock
from gateway.core.errors import Conflict, InvalidInput, UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.suggestions import did_you_mean
from gateway.routing.agents import AddedAgent, KnownAgents
from gateway.routing.bindings import Binding, Source
from gateway.routing.entry import read_binding
from gateway.routing.problems import InvalidRoutes, Problem, Severity
from gateway.routing.router import Router
from gateway.routing.table import Table
from gateway.store.base.bindings import ListBindings, PutBinding, RemoveBinding
from gateway.store.base.store import Durability, Store, Unit


@dataclass(frozen=True, slots=True)
class Added:
    """A rule that holds now. `warnings` say where it will not do what it seems to."""

    binding: Binding
    replaced: bool
    warnings: tuple[str, ...]


class AddedRules:
    """The added rules of one router, and its agents; `open` before anything is routed."""

    def __init__(self, store: Store, clock: Clock, router: Router, agents: KnownAgents) -> None:
        self._store = store
        self._clock = clock
        self._router = router
        self.agents = agents
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Take up what was added, here or by another process.

        Raises `ConfigError` when some of it cannot be used any more; then the rules stay.
        """
        async with self._changing:
            await self.agents.open(self._store, self._clock)
            self._router.swap(self._table(await self._load()))

    async def add_agent(self, agent: AddedAgent) -> bool:
        """Add an agent or replace an added one; whether there was one. See `KnownAgents.add`."""
        async with self._changing:
            replaced = await self.agents.add(agent)
            self._router.swap(self._table(self._added()))
            return replaced

    async def remove_agent(self, agent_id: AgentId) -> None:
        """Take an added agent away; raises `Conflict` while a rule or the default names it."""
        async with self._changing:
            table = self._router.table
            naming = [f"rule {rule.id}" for rule in table.rules if rule.agent == agent_id]
            if table.default_agent == agent_id:
                naming.append("default_agent")
            if naming and self.agents.source(agent_id) is Source.ADDED:
                raise Conflict(
                    f"the agent {agent_id!r} is named by {', '.join(naming)}; change that first"
                )
            await self.agents.remove(agent_id)
            self._router.swap(self._table(self._added()))

    async def set(self, rule: Mapping[str, Any]) -> Added:
        """Add a rule in either spelling, or replace the added one of its id.

        Raises `InvalidInput`, `UnknownAgent`, or `Conflict` for an id that is declared.
        """
        binding, problems = _read(rule)
        if self.agents.get(binding.agent) is None:
            hint = did_you_mean(binding.agent, self.agents.ids())
            raise UnknownAgent(f"there is no agent {binding.agent!r}; {hint}")
        async with self._changing:
            self._router.table.removable_by_id(binding.id)
            kept = [old for old in self._added() if old.id != binding.id]
            replaced = [old for old in self._added() if old.id == binding.id]
            after = max((old.order for old in kept), default=-1) + 1
            order = replaced[0].order if replaced else after
            table = self._table([*kept, replace(binding, order=order)])
            # In the spelling it came in: read again, it has to pass the same checks.
            body = orjson.dumps({**rule, "id": binding.id}).decode()
            op = PutBinding(binding.id, body, self._clock.now_ms())
            await self._store.commit(Unit((op,), durability=Durability.CRITICAL))
            self._router.swap(table)
        warnings = [problem.message for problem in problems]
        warnings += [
            problem.message
            for problem in self._router.table.problems()
            if problem.path == _origin(binding.id)
        ]
        return Added(binding, bool(replaced), tuple(warnings))

    async def remove(self, rule: Mapping[str, Any]) -> tuple[Binding, ...]:
        """Take away the added rules of this agent and match; raises `Conflict` for a declared."""
        binding, _ = _read(rule)
        async with self._changing:
            found = self._router.table.removable(binding.agent, binding.match)
            return await self._remove(found)

    async def remove_by_id(self, binding_id: str) -> tuple[Binding, ...]:
        """Take away the added rule of this id; raises `Conflict` for a declared one."""
        async with self._changing:
            return await self._remove(self._router.table.removable_by_id(binding_id))

    async def _remove(self, found: tuple[Binding, ...]) -> tuple[Binding, ...]:
        if found:
            ops = tuple(RemoveBinding(binding.id) for binding in found)
            await self._store.commit(Unit(ops, durability=Durability.CRITICAL))
            self._router.swap(self._table([rule for rule in self._added() if rule not in found]))
        return found

    async def _load(self) -> list[Binding]:
        found: list[Binding] = []
        report: list[Problem] = []
        for order, row in enumerate(await self._store.read(ListBindings())):
            raw, path = orjson.loads(row.body), _origin(row.binding_id)
            binding, problems = read_binding(raw, path=path, source=Source.ADDED, order=order)
            report += [problem for problem in problems if problem.severity is Severity.ERROR]
            if binding is not None:
                found.append(binding)
        if report:
            raise InvalidRoutes("the store", report)
        return found

    def _table(self, added: Iterable[Binding]) -> Table:
        """The rules as they would be with these added ones."""
        table = self._router.table
        return Table.build(
            [rule for rule in table.rules if rule.source is Source.DECLARED],
            added,
            agents=self.agents.ids(),
            default_agent=table.default_agent,
            file=table.file,
        )

    def _added(self) -> list[Binding]:
        return [rule for rule in self._router.table.rules if rule.source is Source.ADDED]


def _read(rule: Mapping[str, Any]) -> tuple[Binding, tuple[Problem, ...]]:
    binding, problems = read_binding(dict(rule), path="$", source=Source.ADDED)
    if binding is None:
        wrong = [f"{problem.path.removeprefix('$.')}: {problem.message}" for problem in problems]
        raise InvalidInput("; ".join(wrong))
    return replace(binding, origin=_origin(binding.id)), problems


def _origin(binding_id: str) -> str:
    return f"added {binding_id!r}"
