"""Models that want back what they thought: in the turn, in later ones, read from the store; no
other model gets it, and no person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.simulate.answers import DONE, Raw, chunk, refusal
from gateway.simulate.asked import Asked
from tests.support.failover import WholeFailover, open_failover
from tests.support.house import Notebook

pytestmark = pytest.mark.timeout(30)

SECRET = "project Nightjar"
SIGNATURE = {"google": {"thought_signature": f"EjQK{SECRET}=="}}
Think = Callable[[Asked], Raw]


def stream(*deltas: dict[str, Any], finish: str) -> Raw:
    return Raw((*(chunk(delta) for delta in deltas), chunk({}, finish), DONE))


def note(**more: object) -> dict[str, Any]:
    function = {"name": "note", "arguments": "{}"}
    return {"tool_calls": [{"index": 0, "id": "", "type": "function", "function": function} | more]}


def deepseek(asked: Asked) -> Raw:
    for place, said in enumerate(asked.messages):
        if said.get("tool_calls") and said.get("reasoning_content") != SECRET:
            why = f"Missing `reasoning_content` field in the assistant message at index {place}."
            return refusal(400, {"message": why, "type": "invalid_request_error"})
    thought = ({"reasoning_content": SECRET[:5]}, {"reasoning_content": SECRET[5:]})
    if asked.messages[-1]["role"] == "tool":
        return stream(*thought, {"content": "noted"}, finish="stop")
    return stream(*thought, note(), finish="tool_calls")


def gemini(asked: Asked) -> Raw:
    for said in asked.messages:
        if said.get("tool_calls") and said["tool_calls"][0].get("extra_content") != SIGNATURE:
            why = "Function call is missing a thought_signature in functionCall parts."
            return refusal(400, {"message": why, "status": "INVALID_ARGUMENT"})
        if "reasoning_content" in said:
            return refusal(400, {"message": "thoughts of another model"})
    if asked.messages[-1]["role"] == "tool" or "[note said: noted]" in asked.user_text:
        return stream({"content": "noted"}, finish="stop")
    return stream(note(extra_content=SIGNATURE), finish="stop")


@pytest.mark.parametrize("model", [deepseek, gemini])
async def test_a_thinking_model_gets_its_thoughts_back(model: Think, tmp_path: Path) -> None:
    tool = Notebook()
    with capture_logs() as logs:
        async with open_failover("k1", folder=tmp_path, tools=[tool]) as failover:
            assert isinstance(failover, WholeFailover)
            house = failover.house
            failover.upstream.answer = model
            for text in ("note this", "and that"):
                await failover.ask(text=text)
                assert failover.said == "noted"
            house.gateway.sessions.forget((await house.events())[0].session_key)  # read it anew
            await failover.ask(text="and a third thing")
            assert failover.said == "noted"
            shown = [message.text for message in house.seen()]
            told = [event.data for event in await house.events()]
    assert len(tool.calls) == 3
    assert len(failover.asked) == 6
    assert SECRET not in json.dumps([shown, told, [str(entry) for entry in logs]])


async def test_another_thinking_model_goes_on_in_the_middle_of_the_turn(tmp_path: Path) -> None:
    """The call is told to it as text: it has no thoughts of its own beside it."""
    tool, models, calls = Notebook(), {"k1": deepseek, "k2": gemini}, 1

    def answer(asked: Asked) -> Raw:
        if asked.key == "k1" and len(tool.calls) == calls:
            return refusal(503, {"message": "overloaded"})
        return models[asked.key](asked)

    async with open_failover("k1", "k2", folder=tmp_path, tools=[tool]) as failover:
        assert isinstance(failover, WholeFailover)
        failover.upstream.answer = answer
        await failover.ask(text="note this")
        assert failover.said == "noted"
        assert len(tool.calls) == 1
        again = failover.upstream.asked[-1]
        assert failover.asked == ["k1/big", "k1/big", "k2/big", "k2/big"]
        assert "[called note with {}]" in json.dumps(again.messages)
        # Gemini goes on with calls of its own; then DeepSeek is back, and each keeps to its own.
        await failover.ask(text="and that")
        calls = -1
        await failover.wait(120)
        await failover.ask(text="and a third thing")
        assert failover.said == "noted"
    assert len(tool.calls) == 3
