"""Limits on turns: concurrency, budget of each turn, budgets of a day."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.section import Section


class LimitSettings(Section):
    """See the module."""

    title = "Bounds on turns"

    turngate_turns: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Maximum number of turns that run concurrently in a process, a quarter of them "
        "for people alone; 0 means no bound but what is scarce: memory, processor, model servers.",
        examples=[2],
    )
    turngate_turn_memory: int = Field(
        256,
        ge=16,
        le=1 << 20,
        description="MiB that running turns may take together, by the length of their transcripts; "
        "others wait.",
        examples=[1024],
    )
    turngate_turn_calls: int = Field(
        64,
        ge=0,
        examples=["32"],
        description="Maximum model calls of one turn; 0 means no bound, as below.",
    )
    turngate_turn_seconds: float = Field(
        1800,
        gt=0,
        examples=["600"],
        description="Longest a turn may work, in seconds; what it waits for people or timers is "
        "not counted.",
    )
    turngate_turn_tokens: int = Field(
        0,
        ge=0,
        examples=["200000"],
        description="Maximum tokens of one turn, prompts and answers together.",
    )
    turngate_root_tokens: int = Field(
        0,
        ge=0,
        examples=["1000000"],
        description="Maximum tokens of one message with everything it sets off at other agents.",
    )
    turngate_session_day_tokens: int = Field(
        0,
        ge=0,
        examples=["500000"],
        description="Maximum tokens of one conversation in a day (UTC).",
    )
    turngate_agent_day_tokens: int = Field(
        0,
        ge=0,
        examples=["2000000"],
        description="Maximum tokens of one agent in a day (UTC).",
    )
    turngate_day_tokens: int = Field(
        0,
        ge=0,
        examples=["5000000"],
        description="Maximum tokens of all agents together in a day (UTC).",
    )
