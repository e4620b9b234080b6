"""Typed ways to yield an effect: the outcome comes back as what it must be."""

from __future__ import annotations

from collections.abc import Generator

from agents.base.effects import CallModel, CallTools, Compact, ModelFailure, ModelOutcome, Outcome
from agents.base.messages import ToolCall
from agents.base.models import ModelReply
from agents.base.tools import ToolResult


def call_model(effect: CallModel) -> Generator[CallModel, Outcome, ModelOutcome]:
    """Ask a model: `reply = yield from call_model(CallModel(…))`."""
    return _of_model((yield effect))


def compact(effect: Compact) -> Generator[Compact, Outcome, ModelOutcome]:
    """Ask for a summary: `reply = yield from compact(Compact(…))`."""
    return _of_model((yield effect))


def call_tools(
    calls: tuple[ToolCall, ...], round_: int
) -> Generator[CallTools, Outcome, tuple[ToolResult, ...]]:
    """Run tools side by side: `results = yield from call_tools(calls, round_)`."""
    outcome = yield CallTools(calls, round_)
    if not isinstance(outcome, tuple) or len(outcome) != len(calls):
        raise TypeError(f"{len(calls)} tool calls were answered with {outcome!r}")
    return outcome


def _of_model(outcome: Outcome) -> ModelOutcome:
    if not isinstance(outcome, ModelReply | ModelFailure):
        raise TypeError(f"a model call was answered with {type(outcome).__name__}")
    return outcome
