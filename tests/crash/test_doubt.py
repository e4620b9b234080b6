"""Promise P2 where the receiver cannot dedupe: a cut send is told as a doubt, never repeated."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.crash import invariants

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]


async def chat(home: Path, text: str, *, crashpoint: str = "") -> tuple[int, str]:
    """One plain conversation through a pipe; exit code and everything it showed."""
    environment = {
        "PATH": os.environ["PATH"],
        "TURNGATE_HOME": str(home),
        "TURNGATE_MODEL": "scripted",
        "WORKSPACE_DIR": str(home / "workspace"),
        "TURNGATE_CRASHPOINT": crashpoint,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "chat",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    shown, _ = await process.communicate(text.encode())
    return process.returncode or 0, shown.decode()


def states(home: Path) -> list[str]:
    """The states of all deliveries in order."""
    with invariants.opened(home / "turngate.db") as connection:
        rows = connection.execute("SELECT state FROM deliveries ORDER BY ordinal")
        return [state for (state,) in rows]


@pytest.mark.parametrize(
    ("point", "shown_before"), [("delivery.before_send", False), ("delivery.after_send", True)]
)
async def test_a_send_cut_by_a_crash_is_unknown_and_never_sent_again(
    tmp_path: Path, point: str, shown_before: bool
) -> None:
    """A pipe to a person has no memory: only the person knows whether the line was seen."""
    code, shown = await chat(tmp_path, "first\n", crashpoint=point)
    assert code == -9
    assert ("You said: first" in shown) is shown_before
    code, shown = await chat(tmp_path, "second\n")
    assert code == 0
    assert shown == "You said: second\n"
    assert states(tmp_path) == ["unknown", "sent"]


async def test_an_answer_whose_sending_had_not_begun_is_shown_after_the_restart(
    tmp_path: Path,
) -> None:
    """Without a mark there is no doubt: the answer is durable and simply leaves later."""
    code, shown = await chat(tmp_path, "first\n", crashpoint="delivery.before_begin")
    assert (code, shown) == (-9, "")
    code, shown = await chat(tmp_path, "second\n")
    assert code == 0
    assert shown == "You said: first\nYou said: second\n"
    assert states(tmp_path) == ["sent", "sent"]
