"""Promises P1, P3, P4 and P7 on both stores: kills, and on PostgreSQL every other fault between."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.crash.matrix import Matrix
from tests.support import database

pytestmark = pytest.mark.crash

SEED = int(os.environ.get("TURNGATE_TEST_SEED", "20261121"))
"""Another seed kills at other moments; a failure names the one it had."""


async def suffer(
    home: Path, store: str, capsys: pytest.CaptureFixture[str], *, kills: int, seed: int
) -> None:
    """Go through it, print the totals, and hold them against what is promised."""
    url = ""
    if store == "postgres":
        database.server()
        url = await database.fresh_url()
    report = await Matrix(home, url=url, seed=seed).run(kills)
    totals = f"{store}, seed {seed}: {report}"
    with capsys.disabled():
        sys.stdout.write(f"\n{totals}\n")
    assert not report.broken, "\n".join([totals, *report.broken[:30], *report.log])
    assert report.faults["kills"] == kills
    assert report.acknowledged > kills / 4  # on a busy machine most of a life is its start


@pytest.mark.timeout(120)
@pytest.mark.postgres
async def test_a_few_kills_lose_repeat_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A share of the long one; `test_kills` is that of SQLite."""
    await suffer(tmp_path, "postgres", capsys, kills=4, seed=SEED)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_two_hundred_kills_lose_repeat_and_leave_nothing(
    tmp_path: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No acknowledged write lost, no completed step or unsafe effect repeated, no run stuck."""
    await suffer(tmp_path, store, capsys, kills=200, seed=SEED + 1)
