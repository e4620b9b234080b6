"""Sessions: beginning one, labelling it, beginning it anew, deleting it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.conversations.addressing import CHANNEL, route_for
from gateway.conversations.changes import Changes
from gateway.conversations.ownership import Ownership
from gateway.core.clock import Clock
from gateway.core.errors import Conflict
from gateway.core.ids import AgentId, Ids
from gateway.core.keys import RouteKey
from gateway.events.log import EventLog
from gateway.identity.principal import Principal
from gateway.routing.router import Router
from gateway.store.base import conversations as store
from gateway.store.base.catalog import Op
from gateway.store.base.store import Receipt, Store


class Fresh(NamedTuple):
    """A session without a past: naming `peer_id` (and `agent_id`) is speaking in it."""

    session_key: str
    agent_id: str
    peer_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Where fresh sessions begin."""

    store: Store
    clock: Clock
    ids: Ids
    router: Router

    async def choose(self, principal: Principal, agent: str) -> Fresh:
        """A place for a fresh session; raises `Conflict` where an agent has only one, and
        `UnknownAgent`. Nothing is written.
        """
        peer = self.ids.new("p")
        route = route_for(principal, RouteKey(CHANNEL, peer=peer))
        routed = self.router.route(route, AgentId(agent) if agent else None)
        key = str(routed.session)
        if await self.store.read(store.GetSession(key)):
            raise Conflict(
                f"the agent {routed.agent.id!r} has one conversation with all peers (dm_scope "
                f"{routed.agent.dm_scope}); there is no other to begin"
            )
        return Fresh(key, routed.agent.id, peer, self.clock.now_ms())

    @staticmethod
    def ops(fresh: Fresh, principal: Principal, label: str) -> tuple[Op, ...]:
        """The writes that begin it."""
        return (
            store.TouchSession(fresh.session_key, fresh.agent_id, principal.name, fresh.at),
            store.SetLabel(fresh.session_key, label),
        )


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """See the module. Raises `NotFound` for a session that is not the principal's."""

    changes: Changes
    ownership: Ownership
    beginnings: Beginnings
    log: EventLog

    async def new(self, principal: Principal, *, agent: str = "", label: str = "") -> Fresh:
        """Begin a fresh session with an agent, or with the one the routes choose.

        Raises `Conflict` where the agent has only one, and `UnknownAgent`.
        """
        fresh = await self.beginnings.choose(principal, agent)
        await self.changes.commit(*self.beginnings.ops(fresh, principal, label))
        return fresh

    async def label(self, principal: Principal, session_key: str, label: str) -> None:
        """Call a session something; an empty label takes its name away."""
        await self.ownership.session(principal, session_key)
        await self.changes.commit(store.SetLabel(session_key, label))

    async def reset(self, principal: Principal, session_key: str) -> int:
        """Begin a session anew; how many messages the agent no longer sees.

        Raises `Conflict` while a turn of it has not ended.
        """
        await self.ownership.session(principal, session_key)
        clearing = self.changes.when_idle(session_key, store.ClearTranscript(session_key))
        receipt = await self.changes.run_to_completion("reset", clearing)
        return receipt.touched[1]

    async def delete(self, principal: Principal, session_key: str) -> int:
        """Delete a session; how many texts were blanked, wherever they show.

        Raises `Conflict` while a turn of it has not ended.
        """
        await self.ownership.session(principal, session_key)
        receipt = await self.changes.run_to_completion("delete", self._delete(session_key))
        return receipt.touched[1]

    async def _delete(self, key: str) -> Receipt:
        receipt = await self.changes.when_idle(
            key,
            store.BlankSession(key),
            store.ClearTranscript(key),
            store.DropRuns(key),
            store.DropSession(key),
        )
        # The same words are among the recent entries of the log.
        self.log.forget()
        self.ownership.forget(key)
        return receipt
