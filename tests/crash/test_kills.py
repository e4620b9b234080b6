"""Promises P1, P2, P3 and P7 against SIGKILL, seen from outside the process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gateway.core.crashpoints import POINTS
from tests.crash.driver import Driver, Report

pytestmark = pytest.mark.crash

SEED = int(os.environ.get("TURNGATE_TEST_SEED", "20261121"))
"""Another seed kills at other moments; a failure names the one it had."""


def said(report: Report) -> str:
    ready = max(report.ready_s, default=0)
    return (
        f"seed {SEED}: {report.lives} lives, {report.acknowledged} acknowledged, "
        f"{report.shown} shown, {report.resent} resent, {report.calls} model calls, "
        f"slowest ready {ready:.2f} s\n" + "\n".join(report.broken[:20])
    )


@pytest.mark.timeout(240)
async def test_random_kills_under_load_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """25 kills at random moments; the long loop is in the slow set."""
    async with Driver(tmp_path, seed=SEED) as driver:
        await driver.kill_randomly(25)
        report = await driver.settle()
    sys.stdout.write(said(report))
    assert not report.broken, said(report)
    assert report.acknowledged > 25, said(report)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_a_named_point_loses_and_repeats_nothing(
    tmp_path: Path, point: str
) -> None:
    """The narrow windows random kills seldom hit: first pass, and once in the thick of it."""
    async with Driver(tmp_path, seed=SEED) as driver:
        await driver.kill_at(point, 1)
        await driver.kill_at(point, 7)
        report = await driver.settle()
    assert not report.broken, said(report)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_random_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """The same, four times as long, with the time to be ready again."""
    async with Driver(tmp_path, seed=SEED + 1) as driver:
        await driver.kill_randomly(100)
        report = await driver.settle()
    sys.stdout.write(said(report))
    assert not report.broken, said(report)
