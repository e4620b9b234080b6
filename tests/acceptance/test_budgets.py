"""P10: what a task may use is bounded over the death of the process that used it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.base.messages import ToolCall
from agents.base.models import ModelContext, ModelReply, ModelRequest, Usage
from channels.memory import Gate
from tests.acceptance.manifest import shows
from tests.support.house import House, Notebook, open_house


class Insatiable:
    """Wants the tool again and again; each time costs 300 tokens."""

    def __init__(self) -> None:
        self.calls = 0

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        self.calls += 1
        calls = (ToolCall("a", "note", "{}"),)
        return ModelReply("", calls, "tool_calls", Usage(200, 100))

    async def close(self) -> None:
        """There is nothing to close."""


@shows("spend.restart")
@pytest.mark.parametrize(
    ("bound", "most", "said"),
    [
        ("turngate_turn_calls", 4, "this turn is spent: 4 model calls"),
        ("turngate_turn_tokens", 5100, "this turn is spent: 1200 of 5100 tokens"),
        ("turngate_root_tokens", 5100, "this task is spent: 1200 of 5100 tokens"),
    ],
)
async def test_a_restart_gives_no_budget_back(
    tmp_path: Path, bound: str, most: int, said: str
) -> None:
    """Killed after half of it; what may be used afterwards is the other half."""
    model, tool = Insatiable(), Notebook(gate=Gate())
    house = House(tmp_path, model=model, tools=(tool,))
    house.settings = house.settings.model_copy(update={bound: most})
    async with open_house(house):
        await house.say("note it")
        assert tool.gate is not None
        await tool.gate.entered.wait()
        first, tool.gate = tool.gate, Gate()
        first.release()
        await tool.gate.entered.wait()
        tool.gate = None
        await house.again()
        await house.idle()
        assert said in house.seen()[-1].text
    assert model.calls == 4
