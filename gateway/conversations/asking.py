"""Starting turns, waiting for their end, cancelling them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import NamedTuple

from channels.base.messages import Accepted, Inbound
from gateway.conversations.addressing import route_for
from gateway.conversations.ownership import Ownership
from gateway.core.clock import Clock
from gateway.core.errors import Conflict
from gateway.core.ids import AgentId, TurnId
from gateway.core.keys import RouteKey
from gateway.core.parts import Parts
from gateway.identity.principal import Principal
from gateway.intake.intake import Intake
from gateway.turns.lanes import Lanes
from gateway.turns.waiting import Ended, TurnWaiters

Resting = Callable[[], AbstractAsyncContextManager[None]]
"""Entered while nothing but the end of a turn is waited for: a surface frees its slot meanwhile."""


class NewMessage(NamedTuple):
    """What a principal says, and the place it names. `agent` overrides what the routes choose."""

    route: RouteKey
    parts: Parts
    agent: str = ""
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class TurnProgress:
    """A turn as far as it has come.

    `ended` is None until it has ended. `answered_by` is another turn where the message was merged
    into it. `position` counts what waits before it in its session, None when it does not wait.
    """

    turn_id: str
    session_key: str
    agent_id: str
    state: str
    answered_by: str
    ended: Ended | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """See the module. Cancelling a wait ends the waiting, never the turn."""

    intake: Intake
    waiters: TurnWaiters
    lanes: Lanes
    ownership: Ownership
    clock: Clock

    async def start(self, principal: Principal, message: NewMessage) -> Accepted:
        """Start a turn; the message is durable on return.

        Raises `Forbidden` for a place that is not the principal's, else what `Intake.accept` does.
        """
        inbound = Inbound(
            route=route_for(principal, message.route),
            parts=message.parts,
            principal=principal.name,
            idempotency_key=message.idempotency_key,
            agent=AgentId(message.agent) if message.agent else None,
            scopes=frozenset(principal.scopes),
        )
        return await self.intake.accept(inbound)

    async def answer(
        self,
        principal: Principal,
        message: NewMessage,
        *,
        wait_ms: int,
        resting: Resting = nullcontext,
    ) -> TurnProgress:
        """Start a turn and wait for its end, `wait_ms` at most."""
        accepted = await self.start(principal, message)
        turn = _Turn(accepted.turn_id, str(accepted.session), accepted.agent)
        return await self._progress(turn, wait_ms, resting)

    async def wait(
        self, principal: Principal, turn_id: str, *, wait_ms: int, resting: Resting = nullcontext
    ) -> TurnProgress:
        """Wait for the end of a turn, `wait_ms` at most; raises `NotFound`."""
        row = await self.ownership.turn(principal, turn_id)
        turn = _Turn(TurnId(row.turn_id), row.session_key, row.agent_id)
        return await self._progress(turn, wait_ms, resting)

    async def cancel(self, principal: Principal, turn_id: str) -> None:
        """Stop a turn: immediately while it waits, at its next step once it runs.

        Raises `NotFound`, or `Conflict` when it has ended.
        """
        row = await self.ownership.turn(principal, turn_id)
        await self.intake.cancel(TurnId(row.turn_id))

    async def stop(self, principal: Principal, session_key: str) -> TurnId | None:
        """Stop what a session is at, else the newest message that waits; its turn, if any.

        Raises `NotFound` for a session that is not the principal's.
        """
        await self.ownership.session(principal, session_key)
        newest = await self.waiters.newest_open(session_key)
        if newest:
            with suppress(Conflict):  # it has just ended
                await self.intake.cancel(newest)
        return newest

    async def _progress(self, turn: _Turn, wait_ms: int, resting: Resting) -> TurnProgress:
        ended: Ended | None = None
        if wait_ms:
            async with resting():
                ended = await self._ended(turn.turn_id, wait_ms)
        if ended is not None:
            return TurnProgress(*turn, ended.state, ended.turn_id, ended)
        row, ended = await self.waiters.now(turn.turn_id)
        if ended is not None:
            return TurnProgress(*turn, ended.state, ended.turn_id, ended)
        position = self.lanes.position(turn.session_key, turn.turn_id)
        return TurnProgress(*turn, row.state, row.turn_id, position=position)

    async def _ended(self, turn_id: TurnId, wait_ms: int) -> Ended | None:
        """How the turn ended; None when it takes longer: that is no error."""
        try:
            async with self.clock.timeout(wait_ms / 1000):
                return await self.waiters.ended(turn_id)
        except TimeoutError:
            return None


class _Turn(NamedTuple):
    """The turn that is waited for."""

    turn_id: TurnId
    session_key: str
    agent_id: str
