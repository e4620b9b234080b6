"""What a turn's steps hold: snapshots and outcomes as JSON, and back.

Stored shapes outlive releases: members are only ever added, with a default for older records.
"""

from __future__ import annotations

from typing import Any, assert_never

from agents.base import messages
from agents.base.effects import FinishedTool, ModelFailure, ModelOutcome, Shortened, Snapshot
from agents.base.messages import ToolCall, call_from_json
from agents.base.models import ModelReply, ToolSpec, Usage
from agents.base.tools import ToolResult
from gateway.core.errors import ModelAttempt
from gateway.core.ids import AgentId

CALLED = "The call was made; what it returned is not known."
"""Result of a call of which an operator only knows that it happened."""


def storable(text: str) -> str:
    """The text without lone surrogates, which no store and no wire takes.

    Models and tools hand them over all the same: in JSON escapes, in names of files.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


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
        "window": snapshot.window,
        "ratio": snapshot.ratio,
        "images": snapshot.images,
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
        window=value.get("window", 0),
        ratio=value.get("ratio", 1.0),
        images=value.get("images", True),
    )


def outcome_to_json(outcome: ModelOutcome) -> dict[str, Any]:
    """The stored form of a model call's end."""
    match outcome:
        case ModelReply():
            value = {
                "text": storable(outcome.text),
                "tool_calls": [call_to_json(call) for call in outcome.tool_calls],
                "finish_reason": storable(outcome.finish_reason),
                "input_tokens": outcome.usage.input_tokens,
                "output_tokens": outcome.usage.output_tokens,
                "model": storable(outcome.model),
                "profile": storable(outcome.profile),
            }
            if outcome.notice:
                value["notice"] = storable(outcome.notice)
            opaque = messages.opaque_to_json(outcome.opaque)
            return value | opaque | attempts_to_json(outcome.attempts)
        case ModelFailure():
            return _failure_to_json(outcome)
        case _:
            assert_never(outcome)


def outcome_from_json(value: Any) -> ModelOutcome:
    """Read a model call's end."""
    if "failed" in value:
        return _failure_from_json(value)
    return ModelReply(
        value["text"],
        tuple(call_from_json(call) for call in value["tool_calls"]),
        value["finish_reason"],
        Usage(value["input_tokens"], value["output_tokens"]),
        value["model"],
        value["profile"],
        attempts_from_json(value),
        value.get("notice", ""),
        messages.opaque_from_json(value),
    )


def without_opaque(value: Any) -> Any:
    """A stored outcome as people may see it: without what its server sent beside the answer."""
    if not isinstance(value, dict):
        return value
    seen = {name: member for name, member in value.items() if name != "opaque"}
    if isinstance(calls := seen.get("tool_calls"), list):
        seen["tool_calls"] = [without_opaque(call) for call in calls]
    return seen


def shortened_to_json(shortened: Shortened) -> dict[str, str | int]:
    """What a conversation lost, for the log and for who explains the turn."""
    rungs = " ".join(shortened.rungs)
    return {"rungs": rungs, "tokens": shortened.tokens, "left": shortened.left}


def attempts_to_json(attempts: tuple[ModelAttempt, ...]) -> dict[str, Any]:
    """What was tried, as a member of the outcome or of a note on the way to it."""
    if not attempts:
        return {}
    told = [
        {
            "profile": tried.profile,
            "model": storable(tried.model),
            "why": storable(tried.why),
            "category": tried.category,
            "waited_ms": tried.waited_ms,
            "took_ms": tried.took_ms,
        }
        for tried in attempts
    ]
    return {"attempts": told}


def attempts_from_json(value: Any) -> tuple[ModelAttempt, ...]:
    """What was tried for one outcome; empty in older records."""
    return tuple(ModelAttempt(**attempt) for attempt in value.get("attempts", ()))


def _failure_to_json(failure: ModelFailure) -> dict[str, Any]:
    value: dict[str, Any] = {
        "failed": failure.category,
        "message": storable(failure.message),
        "retry_after_ms": failure.retry_after_ms,
    }
    if failure.window:
        value["window"] = failure.window
    if failure.tokens:
        value["tokens"] = failure.tokens
    if failure.told:
        value["told"] = storable(failure.told)
    if failure.kind:
        value["kind"] = failure.kind
    return value | attempts_to_json(failure.attempts)


def _failure_from_json(value: dict[str, Any]) -> ModelFailure:
    return ModelFailure(
        value["failed"],
        value["message"],
        value["retry_after_ms"],
        value.get("window", 0),
        attempts_from_json(value),
        tokens=value.get("tokens", 0),
        told=value.get("told", ""),
        kind=value.get("kind", ""),
    )


def call_to_json(call: ToolCall) -> dict[str, Any]:
    """The stored form of a model's wish."""
    texts = {
        "id": storable(call.id),
        "name": storable(call.name),
        "arguments": storable(call.arguments),
    }
    return messages.call_to_json(call) | texts


def result_to_json(result: ToolResult) -> dict[str, Any]:
    """The stored form of a tool call's end."""
    return {"text": storable(result.text), "is_error": result.is_error}


def result_from_json(value: Any) -> ToolResult:
    """Read a tool call's end; an operator may have said it by hand, so members may be missing."""
    if not isinstance(value, dict):
        return ToolResult(CALLED if value is None else str(value))
    return ToolResult(str(value.get("text", CALLED)), bool(value.get("is_error", False)))


def finished_to_json(finished: FinishedTool) -> dict[str, Any]:
    """The stored form of a call that had ended when its turn was stopped."""
    return {"call": call_to_json(finished.call), **result_to_json(finished.result)}


def finished_from_json(value: Any) -> FinishedTool:
    """Read such a call."""
    return FinishedTool(call_from_json(value["call"]), result_from_json(value))
