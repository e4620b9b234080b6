"""What a turn's steps hold: snapshots and outcomes as JSON, and back.

Stored shapes outlive releases: members are only ever added, with a default for older records.
"""

from __future__ import annotations

from typing import Any, assert_never

from agents.base.effects import ModelFailure, ModelOutcome, Snapshot
from agents.base.messages import call_from_json
from agents.base.models import ModelReply, ToolSpec, Usage
from agents.base.tools import ToolResult
from gateway.core.ids import AgentId


def snapshot_to_json(snapshot: Snapshot) -> dict[str, Any]:
    """The stored form of step 0."""
    return {
        "agent": snapshot.agent,
        "system": snapshot.system,
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in snapshot.tools
        ],
        "models": list(snapshot.models),
        "max_tokens": snapshot.max_tokens,
        "temperature": snapshot.temperature,
        "max_rounds": snapshot.max_rounds,
        "revision": snapshot.revision,
        "now_ms": snapshot.now_ms,
    }


def snapshot_from_json(value: Any) -> Snapshot:
    """Read step 0."""
    return Snapshot(
        agent=AgentId(value["agent"]),
        system=value["system"],
        tools=tuple(
            ToolSpec(tool["name"], tool["description"], tool["parameters"])
            for tool in value["tools"]
        ),
        models=tuple(value["models"]),
        max_tokens=value["max_tokens"],
        temperature=value["temperature"],
        max_rounds=value["max_rounds"],
        revision=value["revision"],
        now_ms=value["now_ms"],
    )


def outcome_to_json(outcome: ModelOutcome) -> dict[str, Any]:
    """The stored form of a model call's end."""
    match outcome:
        case ModelReply():
            return {
                "text": outcome.text,
                "tool_calls": [
                    {"id": call.id, "name": call.name, "arguments": call.arguments}
                    for call in outcome.tool_calls
                ],
                "finish_reason": outcome.finish_reason,
                "input_tokens": outcome.usage.input_tokens,
                "output_tokens": outcome.usage.output_tokens,
                "model": outcome.model,
                "profile": outcome.profile,
            }
        case ModelFailure(category, message, retry_after_ms):
            return {"failed": category, "message": message, "retry_after_ms": retry_after_ms}
        case _:
            assert_never(outcome)


def outcome_from_json(value: Any) -> ModelOutcome:
    """Read a model call's end."""
    if "failed" in value:
        return ModelFailure(value["failed"], value["message"], value["retry_after_ms"])
    return ModelReply(
        value["text"],
        tuple(call_from_json(call) for call in value["tool_calls"]),
        value["finish_reason"],
        Usage(value["input_tokens"], value["output_tokens"]),
        value["model"],
        value["profile"],
    )


def result_to_json(result: ToolResult) -> dict[str, Any]:
    """The stored form of a tool call's end."""
    return {"text": result.text, "is_error": result.is_error}


def result_from_json(value: Any) -> ToolResult:
    """Read a tool call's end; an operator may have said it by hand, so members may be missing."""
    if not isinstance(value, dict):
        return ToolResult("" if value is None else str(value))
    return ToolResult(str(value.get("text", "")), bool(value.get("is_error", False)))
