"""Where a principal may speak: the rule that keeps one client out of another's conversation.

Without the scope `operator` the channel is `websocket` and the peer's name begins with the name of
the credential; a credential's name has no slash, so the two parts cannot be confused.
"""

from __future__ import annotations

from gateway.core.errors import Forbidden
from gateway.core.keys import RouteKey
from gateway.identity.principal import Principal, Scope

CHANNEL = "websocket"
"""The channel of all clients that come with a credential, whatever carries their messages."""


def route_for(principal: Principal, route: RouteKey) -> RouteKey:
    """Where the principal speaks when it names `route`; raises `Forbidden` for another's place."""
    if principal.has(Scope.OPERATOR):
        return route
    if route.channel != CHANNEL:
        raise Forbidden(
            f"speaking on the channel {route.channel!r} needs the scope 'operator'; leave it out"
        )
    if route.group or route.thread:
        # A client that names a group would hear what others say in it.
        raise Forbidden("speaking in a group needs the scope 'operator'; leave it out")
    return RouteKey(CHANNEL, route.account, route.guild, peer=f"{principal.name}/{route.peer}")
