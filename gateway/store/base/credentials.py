"""Writes and reads of credentials. The secret itself is nowhere: only its SHA-256 is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class PutCredential(NamedTuple):
    """Add a credential; refused `Conflict` when the name is taken by one that is not revoked."""

    credential_id: str
    name: str
    token_hash: str
    scopes: str
    at: int


class RevokeCredential(NamedTuple):
    """End a credential; refused `NotFound` when there is none or it is revoked already."""

    credential_id: str
    at: int


class CredentialRow(NamedTuple):
    """`scopes` is a comma list; `revoked_at` is None while it is valid."""

    credential_id: str
    name: str
    token_hash: str
    scopes: str
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class ListCredentials(Query[CredentialRow]):
    """All of them, oldest first, revoked ones included."""
