"""Checks run side by side; none can hold or break the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.cli.doctor.catalog import CHECKS
from gateway.cli.doctor.check import Check, Finding, Level, Scene, ok
from gateway.cli.doctor.running import run
from tests.unit.gateway.cli.doctor.scene import scene


async def test_findings_come_in_order_although_checks_wait_for_each_other(tmp_path: Path) -> None:
    second_ran = asyncio.Event()

    async def first(scene: Scene) -> Finding:
        await second_ran.wait()
        return ok("first")

    async def second(scene: Scene) -> Finding:
        second_ran.set()
        return ok("second")

    done: list[None] = []
    checks = [Check("first", "?", first), Check("second", "?", second)]
    found = await run(checks, scene(tmp_path), done=lambda: done.append(None))
    assert [finding.saw for _, finding in found] == ["first", "second"]
    assert len(done) == 2


async def test_one_that_hangs_or_breaks_is_a_finding(tmp_path: Path) -> None:
    async def hangs(scene: Scene) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError("never gets here")

    async def breaks(scene: Scene) -> Finding:
        raise ZeroDivisionError("by zero")

    checks = [Check("hangs", "?", hangs), Check("breaks", "?", breaks)]
    found = await run(checks, scene(tmp_path), deadline_s=0.01)
    assert [finding.level for _, finding in found] == [Level.FAIL, Level.FAIL]
    assert "0.01 s" in found[0][1].saw
    assert "by zero" in found[1][1].saw


def test_names_are_unique_and_every_check_asks_something() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.asks.endswith("?") for check in CHECKS)
