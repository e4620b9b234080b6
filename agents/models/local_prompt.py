"""Putting a request into words for the local model: pure.

Its template drops tools and images without a word, so none are sent, and what tools once said is
told as text. Of the agent's prompt it is told the beginning: it follows its first sentences at
best. The conversation is not shortened here.
"""

from __future__ import annotations

from agents import context
from agents.base import size
from agents.base.messages import Messages, UserMessage
from agents.base.models import ModelRequest
from agents.resilience.plain import without_tools
from gateway.core.parts import Text, text_of

IDENTITY_TOKENS = 128
"""Of the agent's prompt: an eighth of what fits."""
OUTPUT_TOKENS = 256
"""Longest answer; further on it repeats itself."""
TEMPERATURE = 0.2
"""As its makers recommend."""

CUT = " […]"


def fit(request: ModelRequest, *, model: str) -> ModelRequest:
    """The same question in text alone."""
    return ModelRequest(
        model=model,
        system=_identity(request.system),
        messages=_texts(request.messages),
        max_tokens=min(request.max_tokens, OUTPUT_TOKENS),
        temperature=TEMPERATURE if request.temperature is None else request.temperature,
    )


def _identity(system: str) -> str:
    """The first section: guidance on tools would be about tools it does not have."""
    identity = system.split("\n\n## ")[0]
    guess = size.of_text(identity)
    if guess <= IDENTITY_TOKENS:
        return identity
    return identity[: len(identity) * IDENTITY_TOKENS // guess] + CUT


def _texts(messages: Messages) -> Messages:
    """What was said and what tools said, as text; roles alternate."""
    told = context.for_request(without_tools(messages))
    return tuple(
        UserMessage((Text(text_of(said.parts)),)) if isinstance(said, UserMessage) else said
        for said in told
    )
