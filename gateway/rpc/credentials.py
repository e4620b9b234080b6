"""What the methods need of credentials: the connection's greeting and the `tokens` namespace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.identity.credentials import Credential
from gateway.identity.principal import Principal, Scope


class Credentials(Protocol):
    """Who may come in."""

    async def authenticate(self, token: str, address: str) -> Principal:
        """Whose token it is; raises `Unauthenticated`, or `RateLimited` after wrong ones."""
        ...

    async def create(
        self, name: str, scopes: Iterable[Scope], *, by: Principal
    ) -> tuple[Credential, str]:
        """A new credential and its token; raises `Forbidden`, `InvalidInput` or `Conflict`."""
        ...

    async def revoke(self, name_or_id: str) -> Credential:
        """End a credential; raises `NotFound`."""
        ...

    async def list(self) -> list[Credential]:
        """All credentials, oldest first."""
        ...
