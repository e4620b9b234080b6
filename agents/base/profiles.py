"""What is known of keys and models beyond one process: the record, and the port that keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Standing:
    """How one model does at one profile; times are wall milliseconds, 0 for never.

    `failures` counts since the last success, `category` is the last one's. It is not asked before
    `until_ms` while there is another. `probed_ms`: when somebody last tried although it had failed.
    `window` is how many tokens the server said it takes, 0 where it never did.
    """

    failures: int = 0
    category: str = ""
    failed_ms: int = 0
    until_ms: int = 0
    probed_ms: int = 0
    ok_ms: int = 0
    window: int = 0


HEALTHY = Standing()


@dataclass(frozen=True, slots=True)
class Kept:
    """A standing as it is kept. It is void when the profile's `fingerprint` has changed; `model`
    is empty for what holds for every model of the key."""

    profile: str
    fingerprint: str
    model: str
    standing: Standing


class ProfileState(Protocol):
    """Keeps standings over restarts and between processes."""

    async def load(self) -> list[Kept]:
        """Everything that is kept."""
        ...

    def save(self, kept: Kept) -> None:
        """Keep this one; never blocks, and may be lost with the process."""
        ...


class Forgetful:
    """Keeps nothing: for gateways without a store, and tests."""

    async def load(self) -> list[Kept]:
        return []

    def save(self, kept: Kept) -> None:
        """Forget it."""
