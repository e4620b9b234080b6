"""Making a request small enough for the local model: pure.

It reads some 320 tokens a second and knows 1024, so an answer within seconds needs a short prompt:
the beginning of the agent's identity and the newest messages. Its template drops tools and images
without a word, so none are sent, and what tools once said is told as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from agents import context
from agents.base.messages import Message, Messages, UserMessage
from agents.base.models import ModelRequest
from agents.resilience.plain import without_tools
from gateway.core.parts import Text, text_of

PROMPT_TOKENS = 512
"""The whole prompt: 1.6 s of reading on two cores."""
SYSTEM_TOKENS = 128
"""Of the identity; a model this small follows its first sentences at best."""
OUTPUT_TOKENS = 256
"""Longest answer; further on it repeats itself."""
MESSAGE_TOKENS = 6
"""What the template puts around each message."""
TEMPERATURE = 0.2
"""As its makers recommend."""

CUT = " […] "


def fit(request: ModelRequest, *, model: str, budget: int = PROMPT_TOKENS) -> ModelRequest:
    """The same question, short: at most `budget` tokens as `tokens` estimates them."""
    # The first section is the identity; guidance on tools would be about tools it does not have.
    identity = request.system.split("\n\n## ")[0]
    system = shorten(identity, min(SYSTEM_TOKENS, budget // 4))
    left = budget - tokens(system) - MESSAGE_TOKENS
    return ModelRequest(
        model=model,
        system=system,
        messages=tuple(_newest(_texts(request.messages), left)),
        max_tokens=min(request.max_tokens, OUTPUT_TOKENS),
        temperature=TEMPERATURE if request.temperature is None else request.temperature,
    )


def tokens(text: str) -> int:
    """A guess that is rarely too low: letters of a word share tokens, all else has its own."""
    letters = sum(char.isascii() and (char.isalpha() or char == " ") for char in text)
    return -(-letters // 4) + len(text.encode("utf-8", "replace")) - letters


def shorten(text: str, budget: int) -> str:
    """The text within so many tokens: whole, or its beginning and its end."""
    if tokens(text) <= budget:
        return text
    low, high = 0, len(text)
    while low < high:  # the most characters that fit
        middle = -(-(low + high) // 2)
        if tokens(_ends(text, middle)) <= budget:
            low = middle
        else:
            high = middle - 1
    return _ends(text, low)


def _ends(text: str, keep: int) -> str:
    """Two thirds of what is kept from the beginning, the rest from the end."""
    head = -(-2 * keep // 3)
    return text[:head] + CUT + text[len(text) - (keep - head) :]


def _texts(messages: Messages) -> Messages:
    """What was said and what tools said, as text; roles alternate."""
    told = context.for_request(without_tools(messages))
    return tuple(
        UserMessage((Text(text_of(said.parts)),)) if isinstance(said, UserMessage) else said
        for said in told
    )


def _newest(messages: Iterable[Message], budget: int) -> Iterator[Message]:
    """The newest messages that fit, from a user message on; the last one is cut if it must be."""
    kept: list[Message] = []
    for message in reversed(list(messages)):
        room = budget - MESSAGE_TOKENS
        if not kept:
            message = _shortened(message, max(room, 1))
        elif _cost(message) > room:
            break
        kept.append(message)
        budget -= MESSAGE_TOKENS + _cost(message)
    while len(kept) > 1 and not isinstance(kept[-1], UserMessage):
        kept.pop()
    return reversed(kept)


def _cost(message: Message) -> int:
    return tokens(text_of(message.parts) if isinstance(message, UserMessage) else message.text)


def _shortened(message: Message, budget: int) -> Message:
    if isinstance(message, UserMessage):
        return UserMessage((Text(shorten(text_of(message.parts), budget)),))
    return replace(message, text=shorten(message.text, budget))
