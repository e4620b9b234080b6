"""Credentials: made, listed, revoked. A caller grants only scopes it has."""

from __future__ import annotations

from gateway.core.errors import Conflict, NotFound
from gateway.identity.credentials import Credential
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.wire.methods.tokens import (
    CreatedToken,
    CreateToken,
    CredentialShape,
    ListTokens,
    RevokeToken,
    TokenList,
)


async def create(call: Call, params: CreateToken) -> CreatedToken:
    """Make a credential. Its token is shown this once."""
    scopes = [Scope(word) for word in params.scopes]
    credential, token = await call.gateway.credentials.create(
        params.name, scopes, by=call.principal
    )
    return CreatedToken(**_shape(credential).model_dump(), token=token)


async def revoke(call: Call, params: RevokeToken) -> CredentialShape:
    """End a credential by its name or id, not one's own. Its connections are closed."""
    if params.name in (call.principal.name, call.principal.credential_id):
        raise Conflict(
            f"{params.name} is the credential you come with; end it with another that has the "
            "scope admin, or take the file with its token away and start the gateway again, which "
            "makes a new one"
        )
    return _shape(await call.gateway.credentials.revoke(params.name))


async def list_all(call: Call, params: ListTokens) -> TokenList:
    """All credentials, oldest first."""
    return TokenList(tokens=[_shape(each) for each in await call.gateway.credentials.list()])


def _shape(credential: Credential) -> CredentialShape:
    return CredentialShape(
        credential_id=credential.credential_id,
        name=credential.name,
        scopes=[scope.value for scope in sorted(credential.scopes)],
        created_at=credential.created_at,
        revoked_at=credential.revoked_at,
    )


CREATE = Method("tokens.create", Scope.ADMIN, create)
LIST = Method("tokens.list", Scope.ADMIN, list_all)
# A flood of requests with a stolen token must not keep that token alive.
REVOKE = Method("tokens.revoke", Scope.ADMIN, revoke, always=True, errors=(Conflict, NotFound))
