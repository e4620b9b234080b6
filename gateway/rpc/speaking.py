"""Whom a message comes from: the rule that keeps one client out of another's conversation.

Without the scope `operator` the channel is `websocket` and the peer's name begins with the name of
the credential; a credential's name has no slash, so the two parts cannot be confused.
"""

from __future__ import annotations

from channels.base.messages import Inbound
from gateway.core import parts
from gateway.core.errors import Forbidden
from gateway.core.ids import AgentId
from gateway.core.keys import DEFAULT_ACCOUNT, RouteKey
from gateway.identity.principal import Principal, Scope
from gateway.wire.methods.routing import Route
from gateway.wire.methods.turns import FilePart, ImagePart, PartShape, StartTurn, TextPart

CHANNEL = "websocket"
"""The channel of everybody who speaks JSON-RPC, whatever carries it."""


def inbound(principal: Principal, params: StartTurn) -> Inbound:
    """The message as intake takes it; raises `Forbidden` for a place that is not the sender's."""
    return Inbound(
        route=place(principal, named(params)),
        parts=said(params),
        principal=principal.name,
        idempotency_key=params.idempotency_key,
        agent=AgentId(params.agent_id) if params.agent_id else None,
    )


def named(params: StartTurn | Route) -> RouteKey:
    """The place that parameters name."""
    return RouteKey(
        params.channel,
        params.account_id or DEFAULT_ACCOUNT,
        params.guild_id,
        params.group_id,
        params.thread_id,
        params.peer_id,
    )


def place(principal: Principal, route: RouteKey) -> RouteKey:
    """Where the principal speaks when it says it is at `route`."""
    if principal.has(Scope.OPERATOR):
        return route
    if route.channel != CHANNEL:
        raise Forbidden(
            f"speaking on the channel {route.channel!r} needs the scope 'operator'; leave it out"
        )
    if route.group or route.thread:
        # Whoever names a group would hear what others say in it.
        raise Forbidden("speaking in a group needs the scope 'operator'; leave it out")
    return RouteKey(CHANNEL, route.account, route.guild, peer=f"{principal.name}/{route.peer}")


def said(params: StartTurn) -> parts.Parts:
    """The parts of a message."""
    if params.text is not None:
        return (parts.Text(params.text),)
    return tuple(_part(shape) for shape in params.parts or ())


def shapes(value: parts.Parts) -> list[PartShape]:
    """Parts as they are shown."""
    return [_shape(part) for part in value]


def _part(shape: PartShape) -> parts.Part:
    match shape:
        case TextPart():
            return parts.Text(shape.text)
        case ImagePart():
            return parts.Image(shape.url, shape.media_type)
        case FilePart():
            return parts.File(shape.name, shape.url, shape.media_type)


def _shape(part: parts.Part) -> PartShape:
    # Kept parts may be older than today's rules for new ones, so nothing is checked again.
    match part:
        case parts.Text(text):
            return TextPart(type="text", text=text)
        case parts.Image(url, media_type):
            return ImagePart.model_construct(type="image", url=url, media_type=media_type)
        case parts.File(name, url, media_type):
            return FilePart.model_construct(type="file", name=name, url=url, media_type=media_type)
