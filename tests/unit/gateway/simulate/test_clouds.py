"""What the files of cloud providers say, and which of it a request gets."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from gateway.core.errors import ConfigError, ModelCategory
from gateway.simulate.asked import Asked
from gateway.simulate.clouds import CLOUDS, Cloud, find
from gateway.simulate.fault import Fault

CLOCK = {"type": "function", "function": {"name": "current_time"}}


def asked(text: str, *more: dict[str, Any], tools: bool = True) -> Asked:
    messages = [{"role": "user", "content": text}, *more]
    return Asked(1, 0, {"messages": messages, **({"tools": [CLOCK]} if tools else {})}, {})


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=lambda cloud: cloud.name)
def test_a_file_has_all_that_is_asked_for(cloud: Cloud) -> None:
    assert cloud.shows
    assert "." in cloud.source
    assert cloud.refusal.leads_to in get_args(ModelCategory)
    assert cloud.exchange(asked("good morning")) is cloud.answer
    assert cloud.exchange(asked("what time is it?")) is cloud.call
    assert cloud.exchange(asked("what time is it?", tools=False)) is cloud.answer
    assert cloud.exchange(asked("time?", {"role": "tool", "content": "noon"})) is cloud.told
    assert isinstance(cloud.exchange(asked("refuse this")), Fault)
    for raw in (cloud.answer, cloud.call, cloud.told):
        assert raw.headers["content-type"] == "text/event-stream"
        assert all(isinstance(piece, bytes) and piece.endswith(b"\n\n") for piece in raw.pieces)


def test_there_are_ten() -> None:
    assert len(CLOUDS) == 10


def test_another_name_is_answered_with_what_is_near() -> None:
    assert find(" Azure ") is CLOUDS["azure"]
    with pytest.raises(ConfigError, match="did you mean 'azure'"):
        find("azur")
