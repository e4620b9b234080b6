from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.base.agents import Agent
from agents.settings import AgentSettings
from gateway.core.keys import DM_SCOPES, SessionScope


def test_lists_are_written_either_way() -> None:
    text = AgentSettings.model_validate({"denied_tools": "read_file, current_time ,"})
    listed = AgentSettings.model_validate({"denied_tools": ["read_file", "current_time"]})
    assert text.denied_tools == listed.denied_tools == ("read_file", "current_time")
    assert AgentSettings.model_validate({"fallback_models": None}).fallback_models == ()


def test_every_dm_scope_can_be_set_and_no_other_scope() -> None:
    for scope in DM_SCOPES:
        assert AgentSettings.model_validate({"dm_scope": str(scope)}).dm_scope is scope
    for other in ("group", "thread", "nonsense", 3, ["main"]):
        with pytest.raises(ValidationError, match="must be one of main, per-peer"):
            AgentSettings.model_validate({"dm_scope": other})


@pytest.mark.parametrize(
    "values",
    [
        {"max_tokens": 0},
        {"max_tokens": True},
        {"max_tokens": "4096"},
        {"max_tokens": 10**9},
        {"temperature": 3},
        {"temperature": True},
        {"temperature": "warm"},
        {"model": 4.1},
        {"name": ["a"]},
        {"denied_tools": False},
        {"denied_tools": [["a"]]},
        {"denied_tools": {"a": 1}},
        {"denied_tool": "read_file"},
    ],
)
def test_values_that_cannot_be_meant_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AgentSettings.model_validate(values)


def test_defaults_are_those_of_the_record() -> None:
    settings = AgentSettings()
    fields = Agent.__dataclass_fields__
    assert settings.max_tokens == fields["max_tokens"].default
    assert settings.dm_scope is fields["dm_scope"].default is SessionScope.PER_CHANNEL_PEER
    assert settings.temperature is fields["temperature"].default
