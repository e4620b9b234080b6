"""Routing in one answer: the agent, the conversation and the line kept with the message."""

from __future__ import annotations

import pytest

from agents.base.agents import Agent
from gateway.core.errors import UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey, SessionKey, SessionScope
from gateway.routing.bindings import Binding, Match
from gateway.routing.identities import Address, Identities
from gateway.routing.router import Router
from gateway.routing.table import Table
from tests.support.house import Roster, agent

MAIN, LUNA = AgentId("main"), AgentId("luna")
ANN = RouteKey("memory", peer="ann")
ANN_IN_PERSON = Identities({Address("memory", "default", "ann"): "ann in person"})


def router(
    *agents: Agent, default: AgentId | None = MAIN, links: Identities | None = None
) -> Router:
    """Everybody in the group `g` talks to luna, everybody else to the default."""
    rule = Binding("shop", LUNA, Match(channel="memory", group="g"))
    table = Table.build([rule], (), agents=[MAIN, LUNA], default_agent=default)
    return Router(table, Roster(*agents), links or Identities())


def test_the_winning_rule_names_the_agent_and_is_kept() -> None:
    """P8: the line says which rule it was."""
    routed = router(agent(), agent("luna")).route(RouteKey("memory", group="g", peer="ann"), None)
    assert (routed.agent.id, routed.explanation) == (LUNA, "binding shop")
    assert routed.session == SessionKey(
        SessionScope.GROUP, LUNA, channel="memory", account="default", group="g"
    )


def test_without_a_rule_the_default_answers() -> None:
    """And the line says so."""
    routed = router(agent()).route(ANN, None)
    assert (routed.agent.id, routed.explanation) == (MAIN, "default")
    assert str(routed.session) == "agent:main:memory:direct:ann"


def test_a_sender_may_name_the_agent() -> None:
    """No rule is asked; the conversation is that agent's own."""
    routed = router(agent(), agent("luna")).route(ANN, LUNA)
    assert (routed.agent.id, routed.explanation) == (LUNA, "override")
    assert routed.session.agent == LUNA


def test_the_conversation_reaches_as_far_as_its_agent_says() -> None:
    """The agent's scope and the declared identities decide, not the channel."""
    friendly = agent("main", dm_scope=SessionScope.PER_PEER)
    routed = router(friendly, links=ANN_IN_PERSON).route(ANN, None)
    assert str(routed.session) == "agent:main:direct:ann%20in%20person"


@pytest.mark.parametrize("override", [None, LUNA, AgentId("nobody")])
def test_an_agent_that_is_not_there_is_a_typed_refusal(override: AgentId | None) -> None:
    """Whoever names it: the default, the sender, or a table older than the workspace."""
    with pytest.raises(UnknownAgent):
        router().route(ANN, override)


def test_without_a_default_what_matches_no_rule_is_refused() -> None:
    """It is not handed to some agent."""
    with pytest.raises(UnknownAgent, match="no rule matches"):
        router(agent(), default=None).route(ANN, None)


def test_rules_are_exchanged_between_two_messages() -> None:
    """A changed file or an added rule decides from the next message on; agents stay."""
    routes = router(agent(dm_scope=SessionScope.PER_PEER), agent("luna"))
    rules = Table.build((), (), agents=[MAIN, LUNA], default_agent=LUNA)
    routes.swap(rules)
    assert routes.table == rules
    assert routes.route(ANN, None).agent.id == LUNA
    assert routes.agents.ids() == (MAIN, LUNA)
