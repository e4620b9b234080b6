"""Token counts estimated from length, before a model has counted. Pure."""

from __future__ import annotations

from agents.base.messages import AssistantMessage, Message, Opaque, UserMessage
from gateway.core.parts import Image, Part, Text

MESSAGE_TOKENS = 4
"""What each message costs beside its words."""
IMAGE_TOKENS = 1000
"""A picture, whatever its size; providers count from 85 to 1700."""


def of_message(message: Message) -> int:
    """One message."""
    if isinstance(message, UserMessage):
        if len(message.parts) == 1:  # most are, and each is told anew for each call
            return MESSAGE_TOKENS + _of_part(message.parts[0])
        return MESSAGE_TOKENS + sum(map(_of_part, message.parts))
    tokens = MESSAGE_TOKENS + of_text(message.text)
    if isinstance(message, AssistantMessage):
        for call in message.tool_calls:
            tokens += of_text(call.name) + of_text(call.arguments) + _of_opaque(call.opaque)
        tokens += _of_opaque(message.opaque)
    return tokens


def words_of(message: Message) -> int:
    """How many words a message has between blanks: the fewest tokens it can be."""
    match message:
        case UserMessage(parts):
            return sum(len(part.text.split()) for part in parts if isinstance(part, Text))
        case _:
            return len(message.text.split())


def of_text(text: str) -> int:
    """Four letters of English, or about one of Chinese, are a token."""
    if text.isascii():
        return -(-len(text) // 4)
    beyond = len(text.encode("utf-8", "replace")) - len(text)
    return round(len(text) / 4 + 0.4 * beyond)


def _of_opaque(opaque: Opaque | None) -> int:
    return of_text(opaque.members) if opaque is not None else 0


def _of_part(part: Part) -> int:
    if isinstance(part, Text):
        return of_text(part.text)
    return IMAGE_TOKENS if isinstance(part, Image) else of_text(part.name) + MESSAGE_TOKENS
