"""What models have used, beyond one process: the port that budgets read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that one conversation used."""

    session: str
    agent: str
    tokens: int


class Spending(Protocol):
    """Where what was used is written down."""

    async def since(self, at_ms: int) -> list[Spent]:
        """What runs that were begun since then have used, by conversation."""
        ...

    async def under(self, root: str) -> int:
        """Tokens that everything one turn set off has used, itself included."""
        ...
