"""The system prompt: a pure function of an agent's record.

Same record, same bytes: no clock, no unordered collection, nothing of the session or the message.
Providers cache by prefix, so what rarely changes comes first and what changes within a session does
not come at all; that belongs into messages. Called when a turn is prepared.
"""

from __future__ import annotations

from agents.base.agents import Agent


def system_prompt(agent: Agent) -> str:
    """Identity, then guidance on tools, then the facts that hold for the whole session."""
    layers = (
        _tidy(agent.identity),
        _section("Tools", agent.guidance),
        _section("Runtime", f"You are the agent `{agent.id}`."),
    )
    return "\n\n".join(layer for layer in layers if layer)


def _section(title: str, text: str) -> str:
    body = _tidy(text)
    return f"## {title}\n\n{body}" if body else ""


def _tidy(text: str) -> str:
    # An editor on another system must not change the bytes.
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
