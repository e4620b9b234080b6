"""Tasks are found by the names an operator wrote, or the start is refused with a reason."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.runs import declared
from gateway.runs.declared import load_tasks

SOURCE = """
from dataclasses import dataclass

@dataclass
class Shape:
    side: int

async def report(ctx, input):
    return Shape(2).side

async def other(ctx, input):
    return None

async def narrow(ctx):
    return None

def plain(ctx, input):
    return None

number = 7
"""


async def installed(ctx: object, input: object) -> None:
    """What a package would bring."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere")
    return tmp_path


async def test_a_file_of_the_workspace_is_one_module_for_all_its_tasks(workspace: Path) -> None:
    """Its functions work; `name=` gives another name."""
    found = load_tasks(["tasks.py:report", "again=tasks.py:report", "tasks.py:other"], workspace)
    assert list(found) == ["report", "again", "other"]
    assert found["report"] is found["again"]
    assert "tasks" not in sys.modules
    assert await found["report"](None, None) == 2  # type: ignore[arg-type]  # it looks at neither


def test_a_module_or_an_entry_point_is_named_as_well(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is named is loaded."""
    point = metadata.EntryPoint("nightly", f"{__name__}:installed", declared.GROUP)
    monkeypatch.setattr(
        metadata,
        "entry_points",
        lambda *, group, name: [point] if (group, name) == (declared.GROUP, "nightly") else [],
    )
    found = load_tasks([f"{__name__}:installed", "nightly"], workspace)
    assert found == {"installed": installed, "nightly": installed}
    assert load_tasks([], workspace) == {}


@pytest.mark.parametrize(
    ("references", "problem"),
    [
        (["tasks.py:nobody"], "AttributeError"),
        (["nowhere.py:report"], "FileNotFoundError"),
        (["broken.py:report"], "ModuleNotFoundError"),
        (["no_such_module_anywhere:report"], "ModuleNotFoundError"),
        (["nightly"], r"no installed package has a task 'nightly'.*file\.py:function"),
        (["tasks.py:plain"], "an async function of two arguments"),
        (["tasks.py:narrow"], "an async function of two arguments"),
        (["tasks.py:number"], "is 7; a task is an async function"),
        (["turn=tasks.py:report"], "'turn' cannot be the name"),
        (["a b=tasks.py:report"], "'a b' cannot be the name"),
        (["tasks.py:report", "tasks.py:report"], "two tasks are called 'report'"),
        ([":"], "cannot be the name"),
    ],
    ids=str,
)
def test_what_cannot_be_had_keeps_the_gateway_from_starting(
    workspace: Path, references: list[str], problem: str
) -> None:
    """With what was looked for and why."""
    with pytest.raises(ConfigError, match=rf"TURNGATE_TASKS: .*{problem}"):
        load_tasks(references, workspace)
