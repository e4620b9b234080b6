"""Connections that are lost: before, during and after a COMMIT, and for a while."""

import asyncio

import pytest

from gateway.core.clock import SystemClock
from gateway.core.errors import Conflict, LeaseLost, NotFound, StoreUnavailable
from gateway.store.base.bindings import RemoveBinding
from gateway.store.base.conversations import GetSession, ListSessions
from gateway.store.base.events import GetLogBounds, ReadEvents
from gateway.store.base.steps import LoadSteps
from gateway.store.base.store import Committed, Durability, Unit
from tests.support import database
from tests.support.doors import door
from tests.support.store_units import a_begin, a_completion, a_run, a_session, happened, one, put
from tests.unit.gateway.store.postgres.conftest import Open

pytestmark = pytest.mark.postgres

OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE application_name = 'turngate'"
)


@pytest.mark.parametrize("arrived", [True, False], ids=["committed", "not committed"])
async def test_a_commit_that_nobody_answered_holds_exactly_once(
    connect: Open, url: str, arrived: bool
) -> None:
    """The database is asked what became of it; its own earlier effect is no refusal."""
    async with door(url) as (gate, through):
        store = await connect(through)
        heard: list[Committed] = []
        store.listen(heard.append)
        gate.cut_at, gate.pass_on = b"COMMIT", arrived
        # Again it would be refused: the guard wants a run that is not there.
        receipt = await store.commit(Unit((a_run(),), (happened("opened"),), Durability.CRITICAL))
        assert gate.cuts == 1
        assert receipt.touched == [1]
        assert [row.kind for row in await store.read(ReadEvents(0, 9))] == ["opened"]
        assert [row.kind for batch in heard for row in batch.events] == ["opened"]
        await store.close()


async def test_a_batch_cut_before_its_commit_is_written_over_a_new_connection(
    connect: Open, url: str
) -> None:
    """Nothing of it was written, so nobody need know."""
    async with door(url) as (gate, through):
        store = await connect(through)
        gate.cut_at = b"s7"
        units = [Unit((a_session(session_key=f"s{n}"),), (happened(),)) for n in range(12)]
        await asyncio.gather(*map(store.commit, units))
        assert gate.cuts == 1
        assert len(await store.read(ListSessions(2**40, "", 99))) == 12
        assert (await one(store, GetLogBounds())).head == 12
        await store.close()


async def test_a_connection_the_server_ended_is_replaced(connect: Open, url: str) -> None:
    """For writing, reading and listening; whoever writes next notices nothing."""
    store = await connect()
    await put(store, a_session())
    await database.run(url, OTHERS)
    await put(store, a_session(session_key="after"))
    assert (await one(store, GetSession("after"))).principal == "ann"


async def test_while_nobody_answers_writes_and_reads_are_refused_and_then_go_on(
    connect: Open, url: str
) -> None:
    """Refused at once and with a type, not kept for ever."""
    async with door(url) as (gate, through):
        store = await connect(through)
        gate.slam()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await put(store, a_session())
            with pytest.raises(StoreUnavailable):
                await store.read(GetSession("s"))
        refused = [store.refuses]
        gate.closed = False
        for _ in range(100):
            try:
                await put(store, a_session())
                break
            except StoreUnavailable:
                await SystemClock().sleep(0.05)
        assert [*refused, store.refuses] == [True, False]
        assert len(await store.read(ListSessions(2**40, "", 9))) == 1
        await store.close()


async def test_two_stores_locking_the_same_rows_in_another_order_both_succeed(
    connect: Open,
) -> None:
    """The database ends one of two batches that wait for each other; its units go one by one."""
    one_, two = await connect(), await connect()
    there = [Unit((a_session(session_key=f"s{n}", at=n),)) for n in range(8)]
    for _ in range(4):
        await asyncio.gather(
            *(one_.commit(unit) for unit in there), *(two.commit(unit) for unit in reversed(there))
        )
    assert len(await one_.read(ListSessions(2**40, "", 99))) == 8


async def test_a_refused_unit_in_a_batch_costs_its_neighbours_nothing_but_time(
    connect: Open,
) -> None:
    """The batch is undone and each unit written alone."""
    store = await connect()
    units = [Unit((a_session(session_key=f"s{n}"),), (happened(),)) for n in range(5)]
    units.insert(2, Unit((a_session(session_key="no"), RemoveBinding("none")), (happened(),)))
    outcomes = await asyncio.gather(*map(store.commit, units), return_exceptions=True)
    assert [type(outcome) is NotFound for outcome in outcomes] == [n == 2 for n in range(6)]
    assert [row.seq for row in await store.read(ReadEvents(0, 99))] == [1, 2, 3, 4, 5]


async def test_runs_that_open_together_are_refused_only_where_their_id_is_taken(
    connect: Open,
) -> None:
    """A unique key that is broken inside a group says nothing about the group's others."""
    store = await connect()
    await put(store, a_run(run_id="r3"))
    units = [Unit((a_run(run_id=f"r{n}"), a_begin(run_id=f"r{n}"))) for n in range(8)]
    outcomes = await asyncio.gather(*map(store.commit, units), return_exceptions=True)
    assert [type(outcome) is Conflict for outcome in outcomes] == [n == 3 for n in range(8)]
    assert [len(await store.read(LoadSteps(f"r{n}"))) for n in range(8)] == [1, 1, 1, 0, 1, 1, 1, 1]


async def test_steps_written_together_are_refused_only_where_the_lease_is_lost(
    connect: Open,
) -> None:
    """Both where a refused statement gives no row, and where it gives a count; each its receipt."""
    store = await connect()
    for n in range(6):
        await put(store, a_run(run_id=f"r{n}"))
    for make in (a_begin, a_completion):
        units = [Unit((make(run_id=f"r{n}", epoch=2 if n == 4 else 1),)) for n in range(6)]
        outcomes = await asyncio.gather(*map(store.commit, units), return_exceptions=True)
        assert [type(outcome) is LeaseLost for outcome in outcomes] == [n == 4 for n in range(6)]
        assert all(
            outcome.touched == [1] for outcome in outcomes if not isinstance(outcome, BaseException)
        )


@pytest.mark.parametrize("arrived", [True, False], ids=["committed", "not committed"])
async def test_runs_that_open_together_are_not_opened_twice_after_a_cut_commit(
    connect: Open, url: str, arrived: bool
) -> None:
    """Their group has told by which number the transaction can be asked for."""
    async with door(url) as (gate, through):
        store = await connect(through)
        gate.cut_at, gate.pass_on = b"COMMIT", arrived
        units = [Unit((a_run(run_id=f"r{n}"),)) for n in range(8)]
        receipts = await asyncio.gather(*map(store.commit, units))
        assert gate.cuts == 1
        assert [receipt.touched for receipt in receipts] == [[1]] * 8
        await store.close()
