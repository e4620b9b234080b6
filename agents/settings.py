"""What the front matter of an AGENT.md may set, with the rule of each value."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.core.keys import DM_SCOPES, SessionScope

MAX_OUTPUT_TOKENS = 1_000_000
"""More than any model writes in one answer; a larger number is a mistake."""


def _listed(value: Any) -> Any:
    """`a, b` and `[a, b]` mean the same; nothing written means none."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _dm_scope(value: Any) -> Any:
    if value in DM_SCOPES:
        return value
    raise ValueError(f"must be one of {', '.join(DM_SCOPES)}")


Word = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_listed)]


class AgentSettings(BaseModel):
    """The settings of one agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="", max_length=100)
    model: str = Field(default="", max_length=200)
    fallback_models: Words = ()
    dm_scope: Annotated[SessionScope, BeforeValidator(_dm_scope)] = SessionScope.PER_CHANNEL_PEER
    denied_tools: Words = ()
    # Strict, or YAML's `yes` would be the number 1.
    max_tokens: int = Field(default=4096, ge=1, le=MAX_OUTPUT_TOKENS, strict=True)
    temperature: float | None = Field(default=None, ge=0, le=2, strict=True)
