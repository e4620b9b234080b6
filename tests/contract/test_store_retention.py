"""What every store forgets by age and number, and what it never does."""

import itertools
from typing import Any

import pytest

from gateway.store.base.events import GetLogBounds, LogBounds, ReadEvents
from gateway.store.base.inputs import EndQueued, FindKey, GetInput
from gateway.store.base.outbox import DeliveriesOfTurn, EndSend
from gateway.store.base.query import Query
from gateway.store.base.retention import (
    ContentPage,
    PruneContent,
    PruneDeliveries,
    PruneEvents,
    PruneInputs,
    PruneKeys,
    PruneRuns,
    PruneStream,
    RaiseLogFloor,
)
from gateway.store.base.runs import (
    AppendStream,
    AwaitKey,
    EmitRunEvent,
    GetRun,
    GetRunEvent,
    LoadStream,
    ParkRun,
    WakeableRuns,
)
from gateway.store.base.steps import LoadSteps
from gateway.store.base.store import Store, Unit
from tests.support.store_units import (
    a_content,
    a_delivery,
    a_key,
    a_record,
    a_run,
    a_run_end,
    an_entry,
    an_input,
    happened,
    one,
    put,
)


async def logged(store: Store) -> tuple[list[int], LogBounds]:
    rows = await store.read(ReadEvents(0, 1000))
    return [row.seq for row in rows], await one(store, GetLogBounds())


@pytest.mark.parametrize(
    ("ages", "prune"),
    list(
        itertools.product(
            [
                (1, 2, 3, 4, 5, 6, 7, 8),
                (1, 2, 3, 4, 1, 2, 3, 9),  # the wall clock was set back
                (9, 9, 9, 1, 9, 9, 9, 9),
                (9, 9, 9, 9, 9, 9, 9, 1),
                (1, 1, 1, 1, 1, 1, 1, 1),
            ],
            [
                PruneEvents(4, 100, 100),
                PruneEvents(4, 100, 2),
                PruneEvents(0, 3, 100),
                PruneEvents(0, 3, 1),
                PruneEvents(100, 100, 100),
                PruneEvents(0, 100, 100),
            ],
        )
    ),
)
async def test_events_are_forgotten_from_the_old_end_without_holes(
    store: Store, ages: tuple[int, ...], prune: PruneEvents
) -> None:
    """Whatever the clock did: a run of numbers up to the head, and a floor just below it."""
    await store.commit(Unit(events=tuple(happened(at=at) for at in ages)))
    await put(store, prune, RaiseLogFloor())
    seqs, bounds = await logged(store)
    assert seqs == list(range(bounds.floor + 1, 9))
    assert bounds.head == 8
    assert bounds.floor <= prune.limit
    within = ages[: prune.limit]
    due = [n for n, at in enumerate(within, 1) if at < prune.before or n <= 8 - prune.keep]
    assert bounds.floor == max(due, default=0)


async def test_numbers_go_on_after_the_whole_log_was_forgotten(store: Store) -> None:
    """A number is never given twice."""
    await store.commit(Unit(events=(happened(), happened())))
    await put(store, PruneEvents(0, 0, 10), RaiseLogFloor())
    assert await logged(store) == ([], LogBounds(2, 2))
    await store.commit(Unit(events=(happened(),)))
    assert await logged(store) == ([3], LogBounds(2, 3))


async def test_a_forgotten_run_takes_its_rows_along(store: Store) -> None:
    """Steps, stream, events and waits of runs that ended before; others keep theirs."""
    for run in ("r1", "r2", "r3"):
        await put(
            store,
            a_run(run_id=run),
            a_record(run_id=run),
            AppendStream(run, 1, "x", 1),
            EmitRunEvent(run, "go", "1", 1),
            AwaitKey(run, "go"),
        )
    await put(store, a_run_end(at=5), a_run_end(run_id="r2", at=6))
    await put(store, PruneRuns(6, 10))
    assert [bool(await store.read(GetRun(run))) for run in ("r1", "r2", "r3")] == [
        False,
        True,
        True,
    ]
    kept: list[Query[Any]] = [LoadSteps("r2"), LoadStream("r2", 0, 9), GetRunEvent("r3", "go")]
    gone: list[Query[Any]] = [LoadSteps("r1"), LoadStream("r1", 0, 9), GetRunEvent("r1", "go")]
    assert [len(await store.read(query)) for query in kept] == [1, 1, 1]
    assert [len(await store.read(query)) for query in gone] == [0, 0, 0]
    await put(store, a_run())  # its waits are gone too: parked again, nothing wakes it
    await put(store, EmitRunEvent("r1", "go", "1", 1), ParkRun("r1", 1, "", None, 2))
    assert await store.read(WakeableRuns(99, "", 9)) == []


async def test_live_output_is_forgotten_before_its_run(store: Store) -> None:
    """At most so many pieces at once, and never those of a run still going."""
    for run in ("r1", "r2"):
        await put(store, a_run(run_id=run), *(AppendStream(run, n, "x", 1) for n in range(5)))
    await put(store, a_run_end(at=5))
    await put(store, PruneStream(6, 3))
    assert len(await store.read(LoadStream("r1", -1, 9))) == 2
    await put(store, PruneStream(6, 3))
    assert await store.read(LoadStream("r1", -1, 9)) == []
    assert len(await store.read(LoadStream("r2", -1, 9))) == 5
    assert len(await store.read(GetRun("r1"))) == 1


async def test_what_ended_long_ago_is_forgotten_oldest_first(store: Store) -> None:
    """Inputs, deliveries and keys: a bounded number at once, open ones never."""
    for n in range(4):
        await put(
            store,
            an_input(turn_id=f"t{n}"),
            a_delivery(delivery_id=f"d{n}", key=f"{n}", turn_id=f"t{n}"),
            a_key(key=f"k{n}", turn_id=f"t{n}", at=9 - n),
        )
    for n, at in ((0, 7), (1, 5), (2, 6)):
        await put(store, EndQueued(f"t{n}", "expired", at), EndSend(f"d{n}", "expired", "", "", at))
    await put(store, PruneInputs(8, 2), PruneDeliveries(8, 2), PruneKeys(8, 1))
    for n, kept in enumerate((True, False, False, True)):
        assert bool(await store.read(GetInput(f"t{n}"))) is kept
        assert bool(await store.read(DeliveriesOfTurn(f"t{n}"))) is kept
    keys = [bool(await store.read(FindKey("ann", "send", f"k{n}"))) for n in range(4)]
    assert keys == [True, True, True, False]


async def test_words_live_as_long_as_something_points_at_them(store: Store) -> None:
    """A transcript, an input, a delivery or an event; whoever prunes is not trusted."""
    names = ["c1", "c2", "c3", "c4", "c5"]
    await put(store, *(a_content(content_id=name) for name in names))
    await put(
        store, an_input(content_id="c1"), an_entry(content_id="c2"), a_delivery(content_id="c3")
    )
    await store.commit(Unit(events=(happened(content_id="c4"),)))
    page = await store.read(ContentPage("", 10))
    assert [(row.content_id, row.used) for row in page] == list(
        zip(names, (1, 1, 1, 1, 0), strict=True)
    )
    assert [row.content_id for row in await store.read(ContentPage("c3", 1))] == ["c4"]
    receipt = await put(store, *(PruneContent(name) for name in names))
    assert receipt.touched == [0, 0, 0, 0, 1]
