"""Whose a conversation or a turn is: asked on every read, wait, cancel and subscription.

Objects of another owner are reported as missing, so their existence stays hidden. Owners never
change, so they are remembered; the memory is bounded and forgets the oldest.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.core.errors import NotFound
from gateway.identity.principal import Principal, Scope
from gateway.store.base.conversations import GetSession, SessionRow
from gateway.store.base.inputs import GetInput, InputRow
from gateway.store.base.store import Store

REMEMBERED = 10_000
"""Owners kept in memory, of conversations and of turns each: some hours of a busy gateway."""


class Ownership:
    """Who owns what."""

    def __init__(self, store: Store, *, remembered: int = REMEMBERED) -> None:
        self._store = store
        self._most = remembered
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._turns: OrderedDict[str, str] = OrderedDict()

    async def session(self, principal: Principal, session_key: str) -> SessionRow:
        """The conversation, if the principal may see it; raises `NotFound` otherwise."""
        for row in await self._store.read(GetSession(session_key)):
            self._keep(self._sessions, session_key, row.principal)
            if _may(principal, row.principal):
                return row
        raise NotFound(f"there is no session {session_key!r}")

    async def turn(self, principal: Principal, turn_id: str) -> InputRow:
        """The turn, if the principal asked for it or owns its conversation; else `NotFound`."""
        for row in await self._store.read(GetInput(turn_id)):
            self._keep(self._turns, turn_id, row.principal)
            if _may(principal, row.principal) or await self.sees(principal, row.session_key):
                return row
        raise NotFound(f"there is no turn {turn_id!r}")

    async def sees(self, principal: Principal, session_key: str, turn_id: str = "") -> bool:
        """Whether something that happened there is for the principal's eyes."""
        if principal.has(Scope.OPERATOR):
            return True
        if not principal.name:
            return False
        if session_key and session_key not in self._sessions:
            for row in await self._store.read(GetSession(session_key)):
                self._keep(self._sessions, session_key, row.principal)
        if self._sessions.get(session_key) == principal.name:
            return True
        # In a conversation that is shared, one's own turns are one's own all the same.
        if turn_id and turn_id not in self._turns:
            for found in await self._store.read(GetInput(turn_id)):
                self._keep(self._turns, turn_id, found.principal)
        return self._turns.get(turn_id) == principal.name

    def known_to_see(self, principal: Principal, session_key: str, turn_id: str) -> bool:
        """`sees` for what cannot wait: no where it is not known yet."""
        if principal.has(Scope.OPERATOR):
            return True
        owners = (self._sessions.get(session_key), self._turns.get(turn_id))
        return bool(principal.name) and principal.name in owners

    def forget(self, session_key: str) -> None:
        """The conversation is gone; another may come by its name."""
        self._sessions.pop(session_key, None)

    def _keep(self, memory: OrderedDict[str, str], name: str, owner: str) -> None:
        memory[name] = owner
        memory.move_to_end(name)
        while len(memory) > self._most:
            memory.popitem(last=False)


def _may(principal: Principal, owner: str) -> bool:
    return principal.name == owner or principal.has(Scope.OPERATOR)
