"""Promises P1 to P3 against SIGKILL, seen by clients over a socket."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.crash.network import Network, Report

pytestmark = pytest.mark.crash

SEED = int(os.environ.get("TURNGATE_TEST_SEED", "20261121"))
"""Another seed kills at other moments; a failure names the one it had."""


def said(report: Report) -> str:
    return (
        f"seed {SEED}: {report.lives} lives, {len(report.answers)} answered, "
        f"{report.repeated} sent again, {report.calls} model calls, {len(report.seen)} events\n"
        + "\n".join(report.broken[:20])
    )


@pytest.mark.timeout(150)
async def test_a_client_that_resumes_sees_each_reply_once(tmp_path: Path) -> None:
    """12 kills at random moments; the long loop is in the slow set."""
    async with Network(tmp_path, seed=SEED) as network:
        report = await network.run(12)
    sys.stdout.write(said(report))
    assert not report.broken, said(report)
    assert len(report.answers) > 12, said(report)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_client_that_resumes_over_sixty_kills_sees_each_reply_once(tmp_path: Path) -> None:
    """The same, five times as long."""
    async with Network(tmp_path, seed=SEED + 1) as network:
        report = await network.run(60)
    sys.stdout.write(said(report))
    assert not report.broken, said(report)
