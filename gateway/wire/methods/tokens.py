"""Shapes of the methods about credentials."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.wire.methods.base import Milliseconds, Name, NoParams, Params, Result
from gateway.wire.methods.connection import ScopeName

CredentialName = Annotated[
    str, Field(min_length=1, max_length=64, description="What the credential is called.")
]


class CreateToken(Params):
    """Whom the credential is for, and what it allows."""

    name: CredentialName
    scopes: list[ScopeName] = Field(
        ["read", "chat"], min_length=1, max_length=4, description="What it allows."
    )


class CredentialShape(Result):
    """A credential; nothing here opens anything."""

    credential_id: str
    name: str
    scopes: list[ScopeName]
    created_at: Milliseconds
    revoked_at: Milliseconds | None = None


class CreatedToken(CredentialShape):
    """A new credential with its token, which is shown this once."""

    token: str


class RevokeToken(Params):
    """Which credential, by its name or id."""

    name: Name


class ListTokens(NoParams):
    """All of them."""


class TokenList(Result):
    """Every credential, oldest first, revoked ones included."""

    tokens: list[CredentialShape]
