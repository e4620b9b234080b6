"""Routes and parts of messages: from the shapes of the wire, and back."""

from __future__ import annotations

from gateway.core import parts
from gateway.core.keys import DEFAULT_ACCOUNT, RouteKey
from gateway.wire.methods.routing import Route
from gateway.wire.methods.turns import FilePart, ImagePart, PartShape, StartTurn, TextPart


def route_of(params: StartTurn | Route) -> RouteKey:
    """The place that parameters name."""
    return RouteKey(
        params.channel,
        params.account_id or DEFAULT_ACCOUNT,
        params.guild_id,
        params.group_id,
        params.thread_id,
        params.peer_id,
    )


def parts_of(params: StartTurn) -> parts.Parts:
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
