"""A store on SQLite becomes one on PostgreSQL: every row, in its place, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.clock import SystemClock
from gateway.core.errors import Conflict, StoreLocked
from gateway.store.base.events import ReadEvents
from gateway.store.base.inputs import GetInput
from gateway.store.base.steps import PutBlob
from gateway.store.base.store import Store, Unit
from gateway.store.postgres.loading import load
from gateway.store.postgres.opening import open_postgres
from gateway.store.sqlite.store import open_sqlite
from gateway.store.sqlite.upkeep import Source, digest
from tests.support import database
from tests.support.store_units import (
    a_begin,
    a_completion,
    a_content,
    a_delivery,
    a_run,
    a_session,
    an_input,
    everything,
    happened,
    put,
)

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]


async def fill(store: Store) -> None:
    await put(store, a_content(body='"a\\u0000\x1bé"'), a_session(), an_input(), a_delivery())
    await put(
        store,
        a_run(task="report"),
        a_begin(),
        PutBlob("aa", '"long"'),
        a_completion(result="blob:aa"),
    )
    await store.commit(Unit(events=tuple(happened() for _ in range(1500))))


async def test_a_copy_has_every_row_and_goes_on_counting(tmp_path: Path, postgres: None) -> None:
    """What is written next has the next number; a second copy is refused."""
    path = tmp_path / "turngate.db"
    store = await open_sqlite(path)
    await fill(store)
    before = await everything(store)
    with pytest.raises(StoreLocked):
        Source(path)
    await store.close()
    seen: list[tuple[int, int]] = []
    url = await database.fresh_url()
    source = Source(path)
    try:
        rows = await load(url, source, digest, lambda *at: seen.append(at))
        with pytest.raises(Conflict, match="already; copy into an empty database"):
            await load(url, source, digest, lambda *at: None)
    finally:
        source.close()
    assert rows["events"] == 1500
    assert seen[-1][0] == seen[-1][1] == sum(rows.values())
    other = await open_postgres(url, clock=SystemClock())
    try:
        after = await everything(other)
        for mine, its in zip(before, after, strict=True):
            assert mine == its
        receipt = await put(other, an_input(turn_id="t2", external_id="x2"))
        assert receipt.value(0) == 2
        await other.commit(Unit(events=(happened(),)))
        assert [row.seq for row in await other.read(ReadEvents(1500, 9))] == [1501]
        assert await other.read(GetInput("t2"))
    finally:
        await other.close()
