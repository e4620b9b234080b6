"""Rules in the store: asked with the declared ones, and never a state nobody chose."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.base.agents import Agent
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError, Conflict, InvalidInput, NotFound, UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey, SessionScope
from gateway.routing.added import AddedRules
from gateway.routing.agents import AddedAgent, KnownAgents
from gateway.routing.file import load_routes
from gateway.routing.identities import Identities
from gateway.routing.router import Router
from gateway.routing.table import Table
from gateway.store.base.bindings import ListBindings, PutBinding
from gateway.store.base.store import Store, Unit

MAIN, LUNA = AgentId("main"), AgentId("luna")
DECLARED = '{"bindings": [{"id": "d", "agent": "main", "match": {"channel": "discord"}}]}'


class Declared:
    """Two agents of a workspace."""

    def get(self, agent_id: AgentId) -> Agent | None:
        return Agent(agent_id, agent_id, "x", Path("/w")) if agent_id in self.ids() else None

    def ids(self) -> tuple[AgentId, ...]:
        return (LUNA, MAIN)


async def opened(store: Store) -> tuple[AddedRules, Router]:
    """A gateway's rules as they are at a start."""
    routes = load_routes(DECLARED)
    known = KnownAgents(Declared(), Path("/w"))
    table = Table.build(routes.bindings, (), agents=known.ids(), default_agent=routes.default_agent)
    router = Router(table, known, Identities())
    rules = AddedRules(store, ManualClock(), router, known)
    await rules.open()
    return rules, router


def answered_by(router: Router, channel: str) -> str:
    return router.route(RouteKey(channel, peer="42"), None).agent.id


async def test_a_rule_counts_at_once_and_after_a_restart(store: Store) -> None:
    """Declared ones go first at the same rank; added ones keep their order."""
    rules, router = await opened(store)
    assert answered_by(router, "x") == "main"
    await rules.set({"agent": "luna", "match": {"channel": "x"}})
    await rules.set({"agent": "main", "match": {"channel": "x"}, "id": "late"})
    await rules.set({"agent": "luna", "match": {"channel": "discord"}})
    for _, routing in ((rules, router), await opened(store)):
        assert answered_by(routing, "x") == "luna"
        assert answered_by(routing, "discord") == "main"
        assert [rule.id for rule in routing.table.rules] == [
            "d",
            "luna:channel=x",
            "late",
            "luna:channel=discord",
        ]


async def test_a_replaced_rule_keeps_its_place(store: Store) -> None:
    """It is the same rule, said otherwise."""
    rules, router = await opened(store)
    for name in ("one", "two"):
        await rules.set({"agent": "luna", "match": {"channel": name}, "id": name})
    done = await rules.set({"agent": "main", "match": {"channel": "three"}, "id": "one"})
    assert done.replaced
    for _, routing in ((rules, router), await opened(store)):
        assert [rule.id for rule in routing.table.rules] == ["d", "one", "two"]
        assert answered_by(routing, "one") == "main"


async def test_what_is_refused_leaves_no_trace(store: Store) -> None:
    """Not in the store, where the next start would find it."""
    rules, router = await opened(store)
    before = router.table
    for rule, error in (
        ({"agent": "nobody", "match": {}}, UnknownAgent),
        ({"agent": "luna", "match": {"peer": "1"}}, InvalidInput),
        ({"agent": "luna", "match": {}, "id": "d"}, Conflict),
    ):
        with pytest.raises(error):
            await rules.set(rule)
    assert await store.read(ListBindings()) == []
    assert router.table is before


async def test_rules_set_side_by_side_all_hold(store: Store) -> None:
    """One change at a time, none of them lost."""
    rules, router = await opened(store)
    work = [rules.set({"agent": "luna", "match": {"channel": f"c{n}"}}) for n in range(20)]
    await asyncio.gather(*work)
    assert {answered_by(router, f"c{n}") for n in range(20)} == {"luna"}
    assert len(await store.read(ListBindings())) == 20


async def test_a_rule_is_removed_by_what_it_says_or_by_its_id(store: Store) -> None:
    """A declared one by neither."""
    rules, router = await opened(store)
    rule = {"agent": "luna", "match": {"channel": "x"}}
    for removal in (rules.remove(rule), rules.remove_by_id("luna:channel=x")):
        await rules.set(rule)
        (gone,) = await removal
        assert gone.id == "luna:channel=x"
        assert answered_by(router, "x") == "main"
    assert await rules.remove(rule) == ()
    assert await rules.remove_by_id("nothing") == ()
    for refused in (
        rules.remove_by_id("d"),
        rules.remove({"agent": "main", "match": {"channel": "discord"}}),
    ):
        with pytest.raises(Conflict, match="declared"):
            await refused


async def test_a_rule_nobody_can_read_stops_the_start(store: Store) -> None:
    """Leaving it out would hand its messages to somebody else."""
    await store.commit(Unit((PutBinding("b", '{"agent": "luna", "match": {"planet": "x"}}', 1),)))
    with pytest.raises(ConfigError, match=r"added 'b'.*planet"):
        await opened(store)


async def test_an_agent_that_is_added_can_be_named_and_then_stays(store: Store) -> None:
    """Until nothing names it any more."""
    rules, router = await opened(store)
    nova = AgentId("nova")
    agent = AddedAgent(nova, "Nova", "x", "", SessionScope.PER_PEER, Path("/w"))
    assert await rules.add_agent(agent) is False
    await rules.set({"agent": "nova", "match": {"channel": "x"}})
    assert answered_by(router, "x") == "nova"
    with pytest.raises(Conflict, match="nova:channel=x"):
        await rules.remove_agent(nova)
    await rules.remove_by_id("nova:channel=x")
    await rules.remove_agent(nova)
    with pytest.raises(NotFound):
        await rules.remove_agent(nova)
    with pytest.raises(Conflict, match="declared"):
        await rules.remove_agent(MAIN)


async def test_the_default_agent_stays(store: Store) -> None:
    """The route file names it."""
    known = KnownAgents(Declared(), Path("/w"))
    nova = AgentId("nova")
    router = Router(Table.build((), (), agents=(), default_agent=nova), known, Identities())
    rules = AddedRules(store, ManualClock(), router, known)
    await rules.open()
    await rules.add_agent(AddedAgent(nova, "Nova", "x", "", SessionScope.MAIN, Path("/w")))
    assert answered_by(router, "x") == "nova"
    with pytest.raises(Conflict, match="default_agent"):
        await rules.remove_agent(nova)
