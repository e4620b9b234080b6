"""Putting a request into words for the local model: pure.

Its template drops tools and images without a word, so none are sent, and what tools once said is
told as text. Of the agent's prompt it is told the beginning: it follows its first sentences at
best. The conversation is not shortened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents import context
from agents.base import size
from agents.base.identities import written_by_us
from agents.base.messages import Messages, UserMessage
from agents.base.models import ModelRequest
from agents.resilience.plain import without_tools
from gateway.core.parts import Text, text_of

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""The line it was trained with, to the letter. With any other, rules above all, it answers a plain
`test` with an apology or with condolences."""
IDENTITY_TOKENS = 128
"""Of the agent's prompt: an eighth of what fits."""
OUTPUT_TOKENS = 400
"""Longest answer; with 256 a third of its explanations and recipes were cut before their end."""
TEMPERATURE = 0.2
"""As its makers recommend; with 0.4 as many answers are good, and a bare `hi` may get a tale."""
_APOLOGIES = {
    "22657": " sorry",
    "37388": "Sorry",
    "40150": " apologize",
    "8286": " Unfortunately",
    "14875": "Unfortunately",
    "16658": " unfortunately",
}
"""Words by their number in its vocabulary. With one of them it begins most answers to what it does
not expect; a letter of apology that is asked for still comes out."""
SAMPLING: Mapping[str, Any] = {
    "top_p": 0.8,
    "repeat_penalty": 1.1,
    "logit_bias": dict.fromkeys(_APOLOGIES, -8),
}
"""How the next word is chosen, as `benchmarks/first_words` found it best: a member of each request
for llama.cpp. With a lower penalty it goes round in circles, with a higher one it loses the
thread."""

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
    """An operator's own instructions, of these the first section: guidance on tools would be about
    tools it does not have. In the place of ours, the line it was trained with."""
    identity = system.split("\n\n## ")[0]
    if written_by_us(identity):
        return SYSTEM
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
