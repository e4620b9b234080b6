"""How many tokens something is, before anybody has counted them: a guess by its length. Pure."""

from __future__ import annotations

from typing import assert_never

from agents.base.messages import AssistantMessage, Message, ToolMessage, UserMessage
from gateway.core.parts import File, Image, Parts, Text

MESSAGE_TOKENS = 4
"""What each message costs beside its words."""
IMAGE_TOKENS = 1000
"""A picture, whatever its size; providers count from 85 to 1700."""


def of_message(message: Message) -> int:
    """One message."""
    match message:
        case UserMessage(parts):
            return MESSAGE_TOKENS + _of_parts(parts)
        case AssistantMessage(text, calls):
            called = sum(of_text(call.name) + of_text(call.arguments) for call in calls)
            return MESSAGE_TOKENS + of_text(text) + called
        case ToolMessage():
            return MESSAGE_TOKENS + of_text(message.text)
        case _:
            return MESSAGE_TOKENS + of_text(message.text)


def of_text(text: str) -> int:
    """Four letters of English, or about one of Chinese, are a token."""
    if text.isascii():
        return -(-len(text) // 4)
    beyond = len(text.encode("utf-8", "replace")) - len(text)
    return round(len(text) / 4 + 0.4 * beyond)


def _of_parts(parts: Parts) -> int:
    total = 0
    for part in parts:
        match part:
            case Text(text):
                total += of_text(text)
            case Image():
                total += IMAGE_TOKENS
            case File():
                total += of_text(part.name) + MESSAGE_TOKENS
            case _:
                assert_never(part)
    return total
