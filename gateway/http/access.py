"""Who sends a request: the headers that say so, read in one place."""

from __future__ import annotations

from starlette.types import Scope

from gateway.core.errors import Unauthenticated
from gateway.http.ports import Credentials
from gateway.identity.principal import Principal


def bearer_token(scope: Scope) -> str | None:
    """The token of the request; None when there is no such header.

    Any bytes may come: they are compared as they are, and no text raises anything here but
    `Unauthenticated`.
    """
    values = header_values(scope, b"authorization")
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send one header of the form Authorization: Bearer <token>")
    return token.strip()


def header_values(scope: Scope, wanted: bytes) -> list[str]:
    """All values of a header, each byte a character: nothing a peer sends fails to decode."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == wanted]


def origin_of(scope: Scope) -> str:
    """The page that asks; empty for a client that is no browser."""
    return next(iter(header_values(scope, b"origin")), "")


async def authenticated(scope: Scope, credentials: Credentials) -> Principal:
    """The principal of a request; raises `Unauthenticated` or `RateLimited`, and `Busy` where
    its credential has as many connections as it may."""
    token = bearer_token(scope)
    if token is None:
        raise Unauthenticated("this needs the header Authorization: Bearer <token>")
    principal = await credentials.authenticate(token, scope["state"]["address"])
    scope["state"]["socket"].recognise(principal)
    return principal
