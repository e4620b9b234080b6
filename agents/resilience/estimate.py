"""How many tokens a request is, before anybody has counted them. Pure.

A guess from the length of the text, made better per model by what its provider counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from agents.base.messages import AssistantMessage, Message, ToolMessage, UserMessage
from agents.base.models import ModelRequest, ToolSpec
from gateway.core.parts import File, Image, Parts, Text

MESSAGE_TOKENS = 4
"""What each message costs beside its words."""
IMAGE_TOKENS = 1000
"""A picture, whatever its size; providers count from 85 to 1700."""
RISE, FALL = 0.2, 0.05
"""How much the newest count weighs: a prompt too large does harm, one too small does not."""
LEAST, MOST = 0.2, 5.0
"""A count further from the guess than this is not believed."""
SURE_AFTER = 2
"""Counts after which a guess is believed against the provider."""
CUT_SHARE, CUT_TOKENS = 0.6, 1000
"""A provider that counts less than this share, and this many fewer, may not have read all of it."""
CUT_LEAST = 512
"""No server reads less than this of a prompt; who counts less counts in another way."""
PLATEAU, GROWTH = 1.05, 1.5
"""It has not if it never counted more than this times as many, for prompts this much smaller."""


def of_request(request: ModelRequest) -> int:
    """Everything that is sent."""
    fixed = of_text(request.system) + sum(map(_of_tool, request.tools))
    return fixed + sum(map(of_message, request.messages))


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


def _of_tool(tool: ToolSpec) -> int:
    words = of_text(tool.name) + of_text(tool.description) + of_text(tool.parameters)
    return words + MESSAGE_TOKENS


@dataclass(slots=True)
class Scale:
    """How one model's tokens relate to our guess, from what its provider counted."""

    ratio: float = 1.0
    counts: int = 0
    peak: tuple[int, int] = (0, 0)
    """The largest count there was, and the guess it was counted for."""

    def learn(self, guessed: int, counted: int) -> bool:
        """Take a count in; False when it shows that the prompt was not read to its end."""
        if guessed <= 0 or counted <= 0:
            return True  # the provider did not count
        if self._cut(guessed, counted):
            return False
        sample = min(max(counted / guessed, LEAST), MOST)
        weight = RISE if sample > self.ratio else FALL
        self.ratio = sample if not self.counts else self.ratio + weight * (sample - self.ratio)
        self.counts += 1
        if counted > self.peak[0] * PLATEAU:
            self.peak = (counted, guessed)
        return True

    def _cut(self, guessed: int, counted: int) -> bool:
        expected = guessed * self.ratio
        peak, peak_guess = self.peak
        return (
            self.counts >= SURE_AFTER
            and counted >= CUT_LEAST
            and counted < CUT_SHARE * expected
            and expected - counted > CUT_TOKENS
            and counted <= PLATEAU * peak
            and guessed >= GROWTH * peak_guess
        )
