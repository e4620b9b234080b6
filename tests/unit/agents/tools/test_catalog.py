from __future__ import annotations

import json
import re

from agents.base.tools import Effect, Tool
from agents.tools.catalog import TOOLS


def test_names_are_unique_and_any_provider_takes_them() -> None:
    names = [tool.spec.name for tool in TOOLS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]{1,64}", name) for name in names)


def test_every_tool_declares_its_effect_its_bound_and_a_closed_schema() -> None:
    tools: tuple[Tool, ...] = TOOLS
    for tool in tools:
        assert tool.effect in Effect
        assert 0 < tool.timeout_s <= 600
        schema = json.loads(tool.spec.parameters)
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
        assert tool.spec.description.endswith(".")


def test_reading_changes_nothing() -> None:
    assert {tool.spec.name: tool.effect for tool in TOOLS} == {
        "current_time": Effect.PURE,
        "read_file": Effect.PURE,
    }
