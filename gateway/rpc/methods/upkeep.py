"""Conversations: beginning one, naming it, beginning it anew, deleting it.

What changes a transcript waits for nobody: while a turn of the conversation has not ended it is
refused, so that no answer is written into what was meant to be empty.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.errors import Conflict, NotFound, UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey
from gateway.identity.principal import Scope
from gateway.rpc import speaking
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.store.base import conversations as store
from gateway.store.base.catalog import Op
from gateway.store.base.store import Durability, Receipt, Unit
from gateway.wire.methods import sessions as wire

UNDER_WAY = "a turn of this conversation has not ended yet; wait for it or cancel it first"


async def new(call: Call, params: wire.NewSession) -> wire.NewSessionResult:
    """Begin a fresh conversation."""
    fresh = await begin(call, params.agent_id)
    await commit(call, fresh.touch, store.SetLabel(fresh.key, params.label))
    return wire.NewSessionResult(
        session_key=fresh.key, agent_id=fresh.touch.agent_id, peer_id=fresh.peer
    )


class Fresh(NamedTuple):
    """A conversation nobody has had yet, and the write that makes it."""

    peer: str
    key: str
    touch: store.TouchSession


async def begin(call: Call, agent_id: str) -> Fresh:
    """Where a fresh conversation would be; raises `Conflict` where an agent has only one."""
    gateway = call.gateway
    peer = gateway.ids.new("p")
    route = speaking.place(call.principal, RouteKey(speaking.CHANNEL, peer=peer))
    routed = gateway.router.route(route, AgentId(agent_id) if agent_id else None)
    key = str(routed.session)
    if await gateway.store.read(store.GetSession(key)):
        raise Conflict(
            f"the agent {routed.agent.id!r} has one conversation with everybody (dm_scope "
            f"{routed.agent.dm_scope}); there is no other to begin"
        )
    now = gateway.clock.now_ms()
    return Fresh(peer, key, store.TouchSession(key, routed.agent.id, call.principal.name, now))


async def label(call: Call, params: wire.LabelSession) -> wire.Labelled:
    """Call a conversation something."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    await commit(call, store.SetLabel(row.session_key, params.label))
    return wire.Labelled(session_key=row.session_key, label=params.label)


async def reset(call: Call, params: wire.OneSession) -> wire.SessionReset:
    """Begin a conversation anew: the agent no longer sees what was said."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    receipt = await call.shared.whole("sessions.reset", _reset(call, row.session_key))
    return wire.SessionReset(session_key=row.session_key, cleared=receipt.touched[1])


async def delete(call: Call, params: wire.OneSession) -> wire.SessionDeleted:
    """Delete a conversation; its words are gone everywhere."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    receipt = await call.shared.whole("sessions.delete", _delete(call, row.session_key))
    return wire.SessionDeleted(session_key=row.session_key, blanked=receipt.touched[1])


async def _reset(call: Call, key: str) -> Receipt:
    receipt = await when_idle(call, key, store.ClearTranscript(key))
    call.gateway.sessions.forget(key)
    return receipt


async def _delete(call: Call, key: str) -> Receipt:
    receipt = await when_idle(
        call,
        key,
        store.BlankSession(key),
        store.ClearTranscript(key),
        store.DropRuns(key),
        store.DropSession(key),
    )
    # The same words are in memory: as a live conversation, and as recent entries of the log.
    call.gateway.sessions.forget(key)
    call.gateway.log.forget()
    call.shared.ownership.forget(key)
    return receipt


async def when_idle(call: Call, key: str, *ops: Op) -> Receipt:
    """Do this while no turn of the conversation is under way; else raise `Conflict`."""
    try:
        return await commit(call, store.ExpectIdle(key), *ops)
    except Conflict as error:
        raise Conflict(UNDER_WAY) from error


async def commit(call: Call, *ops: Op) -> Receipt:
    """Write for good."""
    return await call.gateway.store.commit(Unit(ops, durability=Durability.CRITICAL))


NEW = Method("sessions.new", Scope.CHAT, new, errors=(Conflict, UnknownAgent))
LABEL = Method("sessions.label", Scope.CHAT, label, errors=(NotFound,))
RESET = Method("sessions.reset", Scope.CHAT, reset, errors=(NotFound, Conflict))
DELETE = Method("sessions.delete", Scope.CHAT, delete, errors=(NotFound, Conflict))
