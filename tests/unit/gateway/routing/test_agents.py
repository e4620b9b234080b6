"""Agents declared and added: one id, one of the two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.base.agents import Agent
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError, Conflict, NotFound
from gateway.core.ids import AgentId
from gateway.core.keys import SessionScope
from gateway.routing.agents import AddedAgent, KnownAgents
from gateway.routing.bindings import Source
from gateway.store.base.store import Store

WORKSPACE = Path("/w")
MAIN, LUNA = AgentId("main"), AgentId("luna")
ADDED = AddedAgent(LUNA, "Luna", "You are Luna.", "m1", SessionScope.PER_PEER, WORKSPACE / "luna")


class Declared:
    """What a workspace holds."""

    def __init__(self, *ids: AgentId) -> None:
        self._agents = {id: Agent(id, id, "x", WORKSPACE / ".agents" / id) for id in ids}

    def get(self, agent_id: AgentId) -> Agent | None:
        return self._agents.get(agent_id)

    def ids(self) -> tuple[AgentId, ...]:
        return tuple(self._agents)


async def known(store: Store, *ids: AgentId) -> KnownAgents:
    agents = KnownAgents(Declared(*ids), WORKSPACE)
    await agents.open(store, ManualClock())
    return agents


async def test_an_added_agent_is_known_at_once_and_after_a_restart(store: Store) -> None:
    """With all it was given, and under its id however it is spelt."""
    agents = await known(store, MAIN)
    assert await agents.add(ADDED) is False
    for one in (agents, await known(store, MAIN)):
        found = one.get(AgentId("LUNA"))
        assert found is not None
        assert (found.id, found.name, found.identity) == (LUNA, "Luna", "You are Luna.")
        assert (found.model, found.dm_scope, found.directory) == (
            "m1",
            SessionScope.PER_PEER,
            WORKSPACE / "luna",
        )
        assert one.ids() == (LUNA, MAIN)
        assert (one.source(LUNA), one.source(MAIN)) == (Source.ADDED, Source.DECLARED)


async def test_an_agent_without_a_folder_has_none(store: Store) -> None:
    """Nor has one from an earlier version, which gave it the whole workspace."""
    for id, folder in ((LUNA, None), (AgentId("sol"), WORKSPACE)):
        await (await known(store)).add(replace(ADDED, id=id, directory=folder))
    agents = await known(store)
    for id in agents.ids():
        found = agents.get(id)
        assert found is not None
        assert found.directory is None


async def test_a_replaced_agent_has_another_revision(store: Store) -> None:
    """Whatever of it changed; the same again has the same."""
    agents = await known(store)
    revisions = set()
    for agent in (ADDED, replace(ADDED, name="L"), replace(ADDED, model=""), ADDED):
        await agents.add(agent)
        found = agents.get(LUNA)
        assert found is not None
        revisions.add(found.revision)
    assert len(revisions) == 3
    assert await agents.add(ADDED) is True


async def test_a_declared_agent_is_changed_in_its_folder(store: Store) -> None:
    """Neither replaced nor removed; the message says where it is."""
    agents = await known(store, LUNA)
    for work in (agents.add(ADDED), agents.remove(LUNA)):
        with pytest.raises(Conflict, match=r"'luna'.*\.agents/luna"):
            await work
    assert (await known(store)).ids() == ()


async def test_an_added_agent_is_removed(store: Store) -> None:
    """Once."""
    agents = await known(store)
    await agents.add(ADDED)
    await agents.remove(LUNA)
    assert agents.get(LUNA) is None
    assert (await known(store)).ids() == ()
    with pytest.raises(NotFound):
        await agents.remove(LUNA)


async def test_an_id_that_is_both_is_an_error_at_the_start(store: Store) -> None:
    """Nobody can say which was meant."""
    await (await known(store)).add(ADDED)
    with pytest.raises(ConfigError, match=r"'luna'.*/w/\.agents/luna"):
        await known(store, LUNA)
