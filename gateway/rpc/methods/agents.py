"""Agents: listed, added to those the workspace declares, and taken away again."""

from __future__ import annotations

import asyncio

from agents.base.identities import REGISTERED
from gateway.core.errors import Conflict, InvalidInput, NotFound
from gateway.core.keys import SessionScope, normalise_agent_id
from gateway.identity.principal import Scope
from gateway.routing.agents import AddedAgent
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.wire.methods import routing as wire
from gateway.wire.methods.base import NoParams


async def list_(call: Call, params: NoParams) -> wire.AgentList:
    """All agents, by id, with the model each would use."""
    gateway = call.gateway
    found = [agent for id in gateway.agents.ids() if (agent := gateway.agents.get(id)) is not None]
    return wire.AgentList.model_validate(
        {
            "agents": [
                {
                    "id": agent.id,
                    "name": agent.name,
                    "model": agent.model or gateway.about.model,
                    "dm_scope": agent.dm_scope.value,
                    "source": gateway.added.agents.source(agent.id),
                }
                for agent in found
            ]
        }
    )


async def register(call: Call, params: wire.RegisterAgent) -> wire.AgentRegistered:
    """Add an agent; it answers from the next message on."""
    rules = call.gateway.added
    agent_id = normalise_agent_id(params.id)
    if not agent_id:
        raise InvalidInput("id: an agent id has a letter or a digit")
    folders = call.gateway.folders
    directory = await asyncio.to_thread(folders.choose, params.workspace_dir, agent_id)
    agent = AddedAgent(
        agent_id,
        params.name,
        params.system_prompt.strip() or REGISTERED.format(name=params.name),
        params.model,
        SessionScope(params.dm_scope),
        directory,
    )
    replaced = await call.shared.run_to_completion("agents.register", rules.add_agent(agent))
    return wire.AgentRegistered(id=agent_id, replaced=replaced)


async def remove(call: Call, params: wire.OneAgent) -> wire.AgentRemoved:
    """Take an added agent away; what it said stays."""
    agent_id = normalise_agent_id(params.id)
    rules = call.gateway.added
    await call.shared.run_to_completion("agents.remove", rules.remove_agent(agent_id))
    return wire.AgentRemoved(id=agent_id)


LIST = Method("agents.list", Scope.READ, list_)
REGISTER = Method("agents.register", Scope.ADMIN, register, errors=(Conflict,))
REMOVE = Method("agents.remove", Scope.ADMIN, remove, errors=(Conflict, NotFound))
