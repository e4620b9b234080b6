"""Files that were meant to declare an agent and would be passed over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agents.misplaced import misplaced
from agents.workspace import load


def put(root: Path, name: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("You are a test.")
    return path


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        (".agents/luna/agent.md", "luna"),
        (".agents/luna/Agent.MD", "luna"),
        (".agents/luna/AGENTS.md", "luna"),
        (".agents/AGENT.md", "main"),
        ("AGENT.md", "main"),
        ("luna/AGENT.md", "luna"),
        (".agents/team/luna/AGENT.md", "luna"),
        ("agents/luna/AGENT.md", "luna"),
        ("agents/luna/agent.md", "luna"),
        (".Agents/luna/AGENT.md", "luna"),
        (".agent/luna/AGENT.md", "luna"),
    ],
)
def test_a_misplaced_file_is_named_with_the_command_that_moves_it(
    tmp_path: Path, name: str, agent: str
) -> None:
    """Followed until nothing is left to say, the commands make an agent of it."""
    root = tmp_path / "our work"
    put(root, name)
    assert load(root).ids() == ()
    for _ in range(3):
        found = list(misplaced(root))
        if not found:
            break
        assert found[0].agent is None
        subprocess.run(found[0].message.rpartition("; ")[2], shell=True, check=True)
    assert load(root).ids() == (agent,)
    assert not list(misplaced(root))


def test_what_is_in_its_place_or_no_agent_is_not_named(tmp_path: Path) -> None:
    for name in (
        ".agents/luna/AGENT.md",
        ".agents/luna/notes/AGENT.md",
        ".agents/luna/agents.md",
        ".agents/notes/readme.md",
        ".agents/README.md",
        "agents/turn.py",
        "AGENTS.md",
        "docs/agent.md",
        "src/deep/below/AGENT.md",
    ):
        put(tmp_path, name)
    assert not list(misplaced(tmp_path))
    assert not list(misplaced(tmp_path / "nowhere"))
