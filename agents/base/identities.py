"""The instructions that turngate itself writes, for agents that were given none.

In one place, so that they can be told apart from an operator's own: a model with a prompt of its
own uses that in their stead.
"""

from __future__ import annotations

import re

FIRST_AGENT = (
    "You are a friendly assistant who answers whoever writes to this gateway.\n"
    "Answer briefly, in the language you are written to. Say so when you do not know something."
)
"""In the AGENT.md of a first workspace."""
DEFAULT = "You are a helpful assistant. Answer briefly and honestly."
"""Of the agent there is when none is declared."""
REGISTERED = "You are {name}, a helpful assistant. Answer briefly and honestly."
"""Of an agent that a program registers by name alone."""

_REGISTERED = re.compile(re.escape(REGISTERED).replace(re.escape("{name}"), ".+"))


def written_by_us(identity: str) -> bool:
    """Whether an agent's instructions are unchanged from what turngate wrote."""
    text = identity.strip()
    return text in (FIRST_AGENT, DEFAULT) or _REGISTERED.fullmatch(text) is not None
