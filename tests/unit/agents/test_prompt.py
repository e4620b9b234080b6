from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agents.base.agents import Agent
from agents.prompt import system_prompt
from gateway.core.ids import AgentId


def agent(identity: str = "You are Luna.", guidance: str = "") -> Agent:
    return Agent(
        AgentId("luna"),
        name="Luna",
        identity=identity,
        directory=Path("/nowhere"),
        guidance=guidance,
        denied_tools=frozenset({"a", "b", "c"}),
    )


def test_layers_come_in_their_order() -> None:
    assert system_prompt(agent(guidance="Read first.\n")) == (
        "You are Luna.\n\n## Tools\n\nRead first.\n\n## Runtime\n\nYou are the agent `luna`."
    )


def test_empty_layers_leave_no_trace() -> None:
    assert system_prompt(agent(guidance=" \n")) == (
        "You are Luna.\n\n## Runtime\n\nYou are the agent `luna`."
    )
    assert system_prompt(agent(identity="\n")) == "## Runtime\n\nYou are the agent `luna`."


def test_line_ends_of_other_systems_do_not_change_the_bytes() -> None:
    unix = system_prompt(agent("a\nb\n", "c\nd"))
    assert system_prompt(agent("a\r\nb\r\n", "c\r\nd")) == unix
    assert system_prompt(agent("a\rb", "c\rd")) == unix


def test_every_process_builds_the_same_bytes() -> None:
    """Hash randomisation would show up here if an unordered collection took part."""
    code = (
        "from tests.unit.agents.test_prompt import agent, system_prompt;"
        "print(system_prompt(agent(guidance='Read.')), end='')"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {system_prompt(agent(guidance="Read."))}
