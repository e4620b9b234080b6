"""What a store can do that other processes use as well: pass on a word immediately.

Words are hints and previews: they may be lost, and nothing that has to hold depends on one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.store.base.store import Store

Heard = Callable[[str], None]
"""Called on the loop with what another process said."""


@runtime_checkable
class SharedStore(Store, Protocol):
    """A store of several processes."""

    def say(self, topic: str, text: str) -> None:
        """Tell every other process soon; nobody waits, and what is too long or too much is lost."""
        ...

    def hear(self, topic: str, heard: Heard) -> None:
        """Call `heard` with everything other processes say on a topic."""
        ...


@dataclass(frozen=True, slots=True)
class SharedInspection:
    """What a shared database looks like from this machine.

    `name` is its address without secrets, `server` the version of PostgreSQL, `schema` 0 where
    there are no tables yet, `newest` what this turngate knows. `away_ms` is one round trip,
    `ahead_ms` how far its clock is before ours. `orphans` are runs whose process is dead and that
    nobody has taken over yet.
    """

    name: str
    server: int
    schema: int
    newest: int
    away_ms: float
    ahead_ms: int
    orphans: int
