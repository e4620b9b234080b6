"""Bytes that wait for slow readers, by credential and in all; the largest holder gives way.

Pure bookkeeping. Each connection has a bound of its own; without these one credential would hold it
as often as it has connections.
"""

from __future__ import annotations

from typing import Generic, TypeVar

H = TypeVar("H")


class Holdings(Generic[H]):
    """Who holds how much."""

    def __init__(self, per_owner: int, in_all: int) -> None:
        self._per_owner = per_owner
        self._in_all = in_all
        self._total = 0
        self._owners: dict[str, dict[H, int]] = {}

    @property
    def total(self) -> int:
        """Bytes that wait in all."""
        return self._total

    def set(self, owner: str, holder: H, size: int) -> H | None:
        """Note what a holder holds now; the one that has to give way for it, if any.

        That is the largest of its owner, or, where all hold too much together, the largest of the
        owner that holds most. It counts until it is noted as holding nothing.
        """
        held = self._owners.setdefault(owner, {})
        self._total += size - held.pop(holder, 0)
        if size:
            held[holder] = size
        elif not held:
            del self._owners[owner]
        if self._total > self._in_all:
            held = max(self._owners.values(), key=_sum)
        elif sum(held.values()) <= self._per_owner:
            return None
        return max(held, key=held.__getitem__)


def _sum(held: dict[H, int]) -> int:
    return sum(held.values())
