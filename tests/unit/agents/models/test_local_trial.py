"""Whether the local model runs here: its process is started for real, and its end is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.models.local_child import NotStarted, Problem
from agents.models.local_trial import NO_ENGINE, Trial, try_start
from gateway.core.clock import ManualClock, SystemClock
from tests.support.local import Starts

GOMP = "libgomp.so.1: cannot open shared object file: No such file or directory"


async def tried(folder: Path, problem: Problem, detail: str, *, weights: bool = True) -> Trial:
    starts = Starts("http://127.0.0.1:9", [NotStarted(problem, detail)])
    path = folder / "weights" if weights else None
    return await try_start(path, key="k", clock=ManualClock(), start=starts)


async def test_a_process_that_starts_is_stopped_again(tmp_path: Path) -> None:
    starts = Starts("http://127.0.0.1:9")
    trial = await try_start(tmp_path / "weights", key="k", clock=ManualClock(), start=starts)
    assert trial == Trial()
    assert not starts.children[0].alive


async def test_each_way_to_fail_has_its_own_sentence(tmp_path: Path) -> None:
    """ "Not installed" is said of nothing else."""
    assert (await tried(tmp_path, "missing", "No module named 'xllamacpp'")).problem == NO_ENGINE
    gomp = (await tried(tmp_path, "unloadable", GOMP)).problem
    assert GOMP in gomp
    assert "apt install libgomp1" in gomp
    other = (await tried(tmp_path, "unloadable", "libstdc++.so.6: not found")).problem
    assert "libstdc++" in other
    assert "libgomp1" not in other
    assert "SIGILL" in (await tried(tmp_path, "died", "it was ended by SIGILL")).problem
    assert all("not installed" not in said for said in (gomp, other))


async def test_one_that_runs_for_another_gateway_is_no_problem(tmp_path: Path) -> None:
    assert await tried(tmp_path, "busy", "pid 42") == Trial(held="pid 42")


async def test_without_weights_it_is_enough_that_the_library_loads(tmp_path: Path) -> None:
    assert await tried(tmp_path, "failed", "no such file", weights=False) == Trial()
    assert (await tried(tmp_path, "failed", "no such file")).problem
    assert (await tried(tmp_path, "unloadable", GOMP, weights=False)).problem


@pytest.mark.timeout(60)
async def test_a_library_that_does_not_load_is_not_taken_for_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real process, with a package that stands in for the real one."""
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({GOMP!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert GOMP in (await try_start(None, key="k" * 43, clock=SystemClock())).problem
    (tmp_path / "xllamacpp.py").write_text("raise ModuleNotFoundError('no xllamacpp')\n")
    assert (await try_start(None, key="k" * 43, clock=SystemClock())).problem == NO_ENGINE
