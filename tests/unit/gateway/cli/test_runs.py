"""Runs at the command line: what is easier with files."""

from __future__ import annotations

import json

import pytest

from tests.unit.gateway.cli.shell import Shell

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

TASK = """
async def book(ctx, input):
    async def write(attempt):
        return "\U0001f600" * 500_000
    return [await ctx.step("write", write), '"' * 500_000]
"""


def test_a_run_larger_than_a_frame_is_exported_and_imported(shell: Shell) -> None:
    """As one file, which is the same after a way there and back."""
    workspace = shell.folder / "workspace"
    workspace.mkdir()
    (workspace / "tasks.py").write_text(TASK, "utf-8")
    with shell.up(TURNGATE_TASKS="tasks.py:book"):
        started = shell.run("runs", "start", "book", "--json")
        run = json.loads(started.stdout)["run_id"]
        assert "completed" in shell.run("runs", "follow", run).stderr
        exported = shell.run("runs", "export", run, "--json").stdout
        assert len(exported.encode()) > 2_500_000
        assert json.loads(exported)["run"]["result"][0] == "\U0001f600" * 500_000
        assert shell.run("runs", "prune", "--older-than-s", "0").returncode == 0
        assert "there is no run" in shell.run("runs", "get", run, "--json").stderr
        imported = shell.run("runs", "import", "-", "--json", stdin="\ufeff" + exported)
        assert json.loads(imported.stdout) == {"run_id": run}
        again = json.loads(shell.run("runs", "export", run, "--json").stdout)
        assert again["run"]["result"] == json.loads(exported)["run"]["result"]
        assert again["steps"] == json.loads(exported)["steps"]
