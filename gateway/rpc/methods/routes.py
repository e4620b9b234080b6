"""Who would answer a message, and why: decided by the rules, sending nothing."""

from __future__ import annotations

from gateway.core.errors import UnknownAgent
from gateway.core.ids import AgentId
from gateway.identity.principal import Scope
from gateway.routing.explanation import Refusal, Resolution, Trial
from gateway.routing.scopes import session_key
from gateway.rpc import speaking
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.wire.methods import routing as wire


async def resolve(call: Call, params: wire.Route) -> wire.Resolved:
    """Who would answer, in which conversation."""
    explained = await explain(call, params)
    if explained.agent_id is None or explained.session_key is None:
        raise UnknownAgent(explained.refused or "")
    return wire.Resolved(
        agent_id=explained.agent_id,
        session_key=explained.session_key,
        why=explained.why,
        binding_id=explained.binding_id,
    )


async def explain(call: Call, params: wire.Route) -> wire.RouteExplained:
    """Every rule that is asked, in order, and what decides."""
    router = call.gateway.router
    route = speaking.route_of(params)
    override = AgentId(params.agent_id) if params.agent_id else None
    explanation = router.table.explain(route, override)
    outcome = explanation.outcome
    agent = router.agents.get(outcome.agent) if isinstance(outcome, Resolution) else None
    session = session_key(agent, route, router.identities) if agent is not None else None
    return wire.RouteExplained.model_validate(
        {
            "route": str(explanation.route),
            "tried": [_trial(trial) for trial in explanation.tried],
            "not_tried": explanation.not_tried,
            "agent_id": agent.id if agent is not None else None,
            "session_key": str(session) if session is not None else None,
            "why": outcome.why.value,
            "binding_id": outcome.binding.id if outcome.binding is not None else None,
            "refused": outcome.message if isinstance(outcome, Refusal) else None,
            "text": str(explanation),
        }
    )


def _trial(trial: Trial) -> wire.TrialShape:
    rule = trial.binding
    return wire.TrialShape(
        id=rule.id,
        agent_id=rule.agent,
        tier=int(rule.tier),
        priority=rule.priority,
        matched=trial.matched,
        differences=[
            wire.DifferenceShape(field=found.field, wanted=found.wanted, came=found.came)
            for found in trial.differences
        ],
    )


RESOLVE = Method("routes.resolve", Scope.OPERATOR, resolve, errors=(UnknownAgent,))
EXPLAIN = Method("routes.explain", Scope.OPERATOR, explain)
