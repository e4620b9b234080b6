"""Places to die: nothing unless armed, then exactly where it was asked for."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.crashpoints import POINTS, crashpoint

ROOT = Path(__file__).parents[4]
PROGRAM = """
from gateway.core.crashpoints import crashpoint
for n in range(1, 4):
    crashpoint("lane.before_claim")
    crashpoint("store.after_commit")
    print(n, flush=True)
"""


def run(setting: str) -> subprocess.CompletedProcess[str]:
    """Three passes of two points in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"TURNGATE_CRASHPOINT": setting},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_point_does_nothing_unless_armed() -> None:
    """In this process none is; not even its name is looked at."""
    for name in [*POINTS, "no such point"]:
        crashpoint(name)


@pytest.mark.parametrize(
    ("setting", "printed"),
    [
        ("store.after_commit", ""),
        ("store.after_commit:1", ""),
        ("store.after_commit:3", "1\n2\n"),
        ("lane.before_claim:2", "1\n"),
    ],
)
def test_an_armed_point_kills_at_the_pass_it_was_told(setting: str, printed: str) -> None:
    """With SIGKILL: nothing is flushed, closed or said."""
    died = run(setting)
    assert (died.returncode, died.stdout, died.stderr) == (-signal.SIGKILL, printed, "")


@pytest.mark.parametrize("setting", ["", "turn.before_boundary", "store.after_commit:4"])
def test_a_point_that_is_not_reached_kills_nobody(setting: str) -> None:
    """Nor does an empty setting."""
    lived = run(setting)
    assert (lived.returncode, lived.stdout) == (0, "1\n2\n3\n")


def test_an_unknown_point_ends_the_start_with_the_list() -> None:
    """A crash test that never crashes would pass for ever."""
    ended = run("store.after_comit")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "'store.after_comit'" in ended.stderr
    assert all(name in ended.stderr for name in POINTS)


def test_every_point_says_what_is_true_there() -> None:
    """Named by the part it is in and its moment."""
    for name, meaning in POINTS.items():
        part, _, moment = name.partition(".")
        assert part.isidentifier()
        assert moment.isidentifier()
        assert meaning
