"""What conversations have used today, as the store knows it."""

from __future__ import annotations

from agents.base.spending import Spent
from gateway.store.base.costs import RootCosts, SpentSince
from gateway.store.base.store import Store


class StoredSpending:
    """`agents.base.spending.Spending` from the costs of runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def since(self, at_ms: int) -> list[Spent]:
        """By conversation; raises `StoreUnavailable`."""
        rows = await self._store.read(SpentSince(at_ms))
        return [Spent(row.session_key, _agent_of(row.session_key), row.tokens) for row in rows]

    async def under(self, root: str) -> int:
        """All of them together; raises `StoreUnavailable`."""
        rows = await self._store.read(RootCosts(root))
        return sum(row.tokens_in + row.tokens_out for row in rows)


def _agent_of(session_key: str) -> str:
    """Session keys begin with `agent:<id>:`."""
    pieces = session_key.split(":", 2)
    return pieces[1] if len(pieces) == 3 else ""
