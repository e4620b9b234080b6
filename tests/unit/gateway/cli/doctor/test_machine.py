"""The machine: new enough, ours alone, and on time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.cli.doctor import machine
from gateway.cli.doctor.check import Level
from tests.unit.gateway.cli.doctor.scene import NOW_S, scene


@pytest.mark.parametrize("check", [machine.python, machine.sqlite, machine.packages])
async def test_this_machine_is_fit(check: object, tmp_path: Path) -> None:
    """The tests run on it."""
    assert callable(check)
    finding = await check(scene(tmp_path))
    assert finding.level is Level.OK, finding


async def test_an_old_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OLDEST_PYTHON", (99, 0))
    assert (await machine.python(scene(tmp_path))).level is Level.FAIL


async def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OLDEST_SQLITE", (99, 0, 0))
    assert (await machine.sqlite(scene(tmp_path))).level is Level.FAIL


async def test_a_name_that_others_own_too_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "PACKAGES", ("gateway", "click"))
    finding = await machine.packages(scene(tmp_path))
    assert finding.level is Level.FAIL
    assert "click" in finding.saw


async def test_a_clock_that_stands_is_noticed(tmp_path: Path) -> None:
    assert (await machine.clock(scene(tmp_path, now_s=0.0))).level is Level.FAIL


async def test_a_database_from_the_future_is_noticed(tmp_path: Path) -> None:
    database = tmp_path / "home" / "turngate.db"
    database.parent.mkdir()
    database.write_bytes(b"")
    os.utime(database, (NOW_S + 7200, NOW_S + 7200))
    finding = await machine.clock(scene(tmp_path))
    assert finding.level is Level.WARN
    assert "120 minutes" in finding.saw
    os.utime(database, (NOW_S, NOW_S))
    assert (await machine.clock(scene(tmp_path))).level is Level.OK
