"""Route rules: set, removed and listed in the order in which they are asked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from gateway.core.errors import Conflict, InvalidInput, UnknownAgent
from gateway.identity.principal import Scope
from gateway.routing.bindings import Binding, Source
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.wire.methods import routing as wire
from gateway.wire.methods.base import NoParams


async def set_(call: Call, params: wire.SetBinding) -> wire.BindingSet:
    """Let messages that match go to an agent."""
    rules = call.gateway.added
    added = await call.shared.run_to_completion("bindings.set", rules.set(_rule(params)))
    return wire.BindingSet(
        id=added.binding.id, replaced=added.replaced, warnings=list(added.warnings)
    )


async def remove(call: Call, params: wire.RemoveBinding) -> wire.BindingRemoved:
    """Take an added rule away; a declared one is changed in its file."""
    rules = call.gateway.added
    if params.id is not None:
        work = rules.remove_by_id(params.id)
    elif params.agent_id is not None:
        work = rules.remove(_rule(params))
    else:
        raise InvalidInput("give either id, or agent_id with match or match_key and match_value")
    gone = await call.shared.run_to_completion("bindings.remove", work)
    return wire.BindingRemoved(removed=bool(gone), ids=[binding.id for binding in gone])


async def list_(call: Call, params: NoParams) -> wire.BindingList:
    """All rules in the order in which they are asked."""
    table = call.gateway.router.table
    return wire.BindingList(
        bindings=[_info(rule, table.file) for rule in table.rules],
        default_agent=table.default_agent,
        file=table.file,
        problems=[str(problem) for problem in table.problems()],
    )


def _rule(params: BaseModel) -> dict[str, Any]:
    """The rule in one of its two spellings, without what was left out."""
    given = params.model_dump(exclude_none=True)
    if "match" in given:
        given["agent"] = given.pop("agent_id")
    elif given.get("match_key", "default") != "default" and "match_value" not in given:
        raise InvalidInput("match_value: missing; only the key 'default' goes without")
    return given


def _info(rule: Binding, file: str) -> wire.BindingInfo:
    match = {field: value for field, value in asdict(rule.match).items() if value}
    origin = f"{file} at {rule.origin}" if rule.source is Source.DECLARED else "the store"
    return wire.BindingInfo(
        id=rule.id,
        agent_id=rule.agent,
        tier=int(rule.tier),
        priority=rule.priority,
        match=match,
        source="declared" if rule.source is Source.DECLARED else "added",
        origin=origin,
    )


SET = Method("bindings.set", Scope.ADMIN, set_, errors=(Conflict, UnknownAgent))
REMOVE = Method("bindings.remove", Scope.ADMIN, remove, errors=(Conflict,))
LIST = Method("bindings.list", Scope.OPERATOR, list_)
