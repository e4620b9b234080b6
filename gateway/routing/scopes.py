"""Which conversation a message belongs to: the session key for an agent and a route.

All members of a group share the conversation; a direct message reaches as far as the agent's dm
scope. Two people never meet in one key unless the scope or an identity link says so. Called by
intake once the agent is known.
"""

from __future__ import annotations

from typing import assert_never

from agents.base.agents import Agent
from gateway.core.errors import ConfigError
from gateway.core.keys import DM_SCOPES, RouteKey, SessionKey, SessionScope
from gateway.routing.bindings import completed
from gateway.routing.identities import Address, Identities


def session_key(agent: Agent, route: RouteKey, links: Identities) -> SessionKey:
    """The key of the conversation; raises `ConfigError` for a dm scope that is none.

    A route without a group is direct. A thread in it stays in the peer's conversation: thread keys
    name no peer, so two people's threads of one number would meet in one key. A guild without a
    group is where a peer was met, not whom it talks to.
    """
    route = completed(route)
    if not route.group:
        return _direct(agent, route, links)
    return SessionKey(
        SessionScope.THREAD if route.thread else SessionScope.GROUP,
        agent.id,
        channel=route.channel,
        account=route.account,
        guild=route.guild,
        group=route.group,
        thread=route.thread,
    )


def _direct(agent: Agent, route: RouteKey, links: Identities) -> SessionKey:
    scope = agent.dm_scope if route.peer else SessionScope.MAIN
    match scope:
        case SessionScope.MAIN:
            return SessionKey(scope, agent.id)
        case SessionScope.PER_PEER:
            # Equal ids on two channels are two people until somebody links them.
            address = Address(route.channel, route.account, route.peer)
            return SessionKey(scope, agent.id, peer=links.person(address) or str(address))
        case SessionScope.PER_CHANNEL_PEER:
            return SessionKey(scope, agent.id, channel=route.channel, peer=route.peer)
        case SessionScope.PER_ACCOUNT_CHANNEL_PEER:
            return SessionKey(
                scope, agent.id, channel=route.channel, account=route.account, peer=route.peer
            )
        case SessionScope.GROUP | SessionScope.THREAD:
            raise ConfigError(
                f"agent {agent.id!r} has dm_scope {str(scope)!r}:"
                f" expected one of {', '.join(DM_SCOPES)}"
            )
        case _:
            assert_never(scope)
