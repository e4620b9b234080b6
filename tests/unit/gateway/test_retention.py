"""What nobody will ask for again goes, a little at a time; conversations stay."""

from __future__ import annotations

import pytest

from gateway.composition.upkeep import keep_for
from gateway.core.clock import ManualClock
from gateway.core.errors import StoreUnavailable
from gateway.core.tasks import Ending, TaskOwner
from gateway.retention import DAY_MS, HOUR_MS, PIECE, Keep, forget
from gateway.settings.settings import Settings
from gateway.store.base.conversations import AppendEntry, LoadTranscript, PutContent, TouchSession
from gateway.store.base.events import GetLogBounds, ReadEvents
from gateway.store.base.inputs import EndQueued, FindKey, GetInput, RememberKey
from gateway.store.base.outbox import DeliveriesOfTurn, EndSend, EnqueueDelivery
from gateway.store.base.retention import ContentPage, PruneRuns
from gateway.store.base.runs import AppendStream, EndRun, GetRun, LoadStream, OpenRun
from gateway.store.base.store import NewEvent, Store, Unit
from tests.support.store_units import an_input
from tests.unit.gateway.runs.stores import FlakyStore, drive, holds

KEY = "agent:main:main"


async def live_through(store: Store, name: str, at: int, *, ended: bool) -> None:
    """One of everything that happens in a turn, at a time; open ends stay open."""
    await store.commit(
        Unit(
            (
                PutContent(name, KEY, '"said"'),
                TouchSession(KEY, "main", "ann", at),
                an_input(turn_id=name, content_id=name, at=at, expires_at=0),
                RememberKey("ann", "send", name, "hash", name, at),
                OpenRun(name, "turn", "", KEY, "null", "w", at, at),
                AppendStream(name, 1, '"live"', at),
                EnqueueDelivery(name, name, "web:default:ann:", KEY, name, 0, 1, name, at, 0),
            ),
            (NewEvent(at, "input.accepted", KEY, "main", name, "{}", name),),
        )
    )
    if ended:
        await store.commit(
            Unit(
                (
                    EndQueued(name, "cancelled", at),
                    EndRun(name, 1, "completed", "null", "", at),
                    EndSend(name, "sent", "", "", at),
                )
            )
        )


async def left(store: Store, name: str) -> set[str]:
    """What is still known of a turn."""
    found = {
        "input": await store.read(GetInput(name)),
        "key": await store.read(FindKey("ann", "send", name)),
        "run": await store.read(GetRun(name)),
        "stream": await store.read(LoadStream(name, 0, 10)),
        "delivery": await store.read(DeliveriesOfTurn(name)),
        "event": [row for row in await store.read(ReadEvents(0, 1000)) if row.turn_id == name],
    }
    return {what for what, rows in found.items() if rows}


EVERYTHING = {"input", "key", "run", "stream", "delivery", "event"}


@pytest.mark.parametrize(
    ("age_ms", "gone"),
    [
        (HOUR_MS - 1000, set()),
        (HOUR_MS + 1000, {"stream"}),
        (DAY_MS + 1000, {"stream", "key"}),
        (7 * DAY_MS + 1000, {"stream", "key", "event"}),
        (30 * DAY_MS + 1000, EVERYTHING),
    ],
)
async def test_each_kind_is_kept_for_its_time(
    store: FlakyStore, age_ms: int, gone: set[str]
) -> None:
    """Live output an hour, keys a day, the log a week, what has ended a month."""
    clock = ManualClock()
    await live_through(store, "old", clock.now_ms() - age_ms, ended=True)
    await live_through(store, "new", clock.now_ms(), ended=True)
    await forget(store, clock, Keep())
    assert await left(store, "old") == EVERYTHING - gone
    assert await left(store, "new") == EVERYTHING


def test_the_settings_say_how_long() -> None:
    assert keep_for(Settings()) == Keep()
    settings = Settings(turngate_keep_days=2, turngate_keep_event_days=3, turngate_keep_events=5000)
    assert keep_for(settings) == Keep(3 * DAY_MS, 5000, runs_ms=2 * DAY_MS, ended_ms=2 * DAY_MS)


async def test_what_has_not_ended_stays_however_old_it_is(store: FlakyStore) -> None:
    """Only its place in the log and its key have an age."""
    clock = ManualClock()
    await live_through(store, "old", clock.now_ms() - 365 * DAY_MS, ended=False)
    await forget(store, clock, Keep())
    assert await left(store, "old") == {"input", "run", "stream", "delivery"}


async def test_a_conversation_stays(store: FlakyStore) -> None:
    """What was said is kept although its turn is forgotten."""
    clock = ManualClock()
    long_ago = clock.now_ms() - 365 * DAY_MS
    await live_through(store, "old", long_ago, ended=True)
    await store.commit(Unit((AppendEntry(KEY, 0, "old", "old", long_ago),)))
    await forget(store, clock, Keep())
    assert await left(store, "old") == set()
    assert [row.body for row in await store.read(LoadTranscript(KEY))] == ['"said"']


async def test_the_log_keeps_its_newest_and_says_what_is_gone(store: FlakyStore) -> None:
    """By number as by age."""
    clock = ManualClock()
    events = tuple(NewEvent(clock.now_ms(), f"e.{number}") for number in range(20))
    await store.commit(Unit(events=events))
    await forget(store, clock, Keep(events=5))
    (bounds,) = await store.read(GetLogBounds())
    assert (bounds.floor, bounds.head) == (15, 20)
    assert [row.seq for row in await store.read(ReadEvents(0, 100))] == [16, 17, 18, 19, 20]
    await clock.advance(8 * DAY_MS / 1000)
    await forget(store, clock, Keep())
    (bounds,) = await store.read(GetLogBounds())
    assert (bounds.floor, bounds.head) == (20, 20)


async def test_a_pass_goes_in_pieces_until_nothing_is_due(store: FlakyStore) -> None:
    """Each is a write of its own with a pause before the next, so that nobody waits long."""
    clock = ManualClock()
    for _ in range(5):
        events = tuple(NewEvent(1, "old") for _ in range(PIECE // 2))
        await store.commit(Unit(events=events))
    store.commits.clear()
    owner = TaskOwner("test", lambda name, error: None)
    passing = owner.start("pass", forget(store, clock, Keep()), ending=Ending.FINISHABLE)
    await store.quiet()
    assert [type(unit.ops[0]).__name__ for unit in store.commits] == ["PruneEvents"]
    await drive(clock, store, passing)
    kinds = [type(unit.ops[0]).__name__ for unit in store.commits]
    assert kinds.count("PruneEvents") == 3
    assert len(kinds) == 9
    assert await store.read(ReadEvents(0, 1)) == []


async def test_a_pass_that_fails_is_taken_up_by_the_next(store: FlakyStore) -> None:
    """What was deleted is deleted."""
    clock = ManualClock()
    await live_through(store, "old", clock.now_ms() - 31 * DAY_MS, ended=True)
    store.refuses = holds(PruneRuns)
    with pytest.raises(StoreUnavailable):
        await forget(store, clock, Keep())
    assert await left(store, "old") == {"input", "key", "run", "delivery"}
    store.refuses = lambda unit: False
    await forget(store, clock, Keep())
    assert await left(store, "old") == set()


async def test_a_pass_over_nothing_changes_nothing(store: FlakyStore) -> None:
    """An empty store has an empty log."""
    await forget(store, ManualClock(), Keep())
    (bounds,) = await store.read(GetLogBounds())
    assert (bounds.floor, bounds.head) == (0, 0)


async def test_words_go_when_nothing_points_at_them_any_more(store: FlakyStore) -> None:
    """What was said and answered in forgotten turns; a transcript keeps its own."""
    clock = ManualClock()
    long_ago = clock.now_ms() - 365 * DAY_MS
    for name in ("kept", "gone"):
        await live_through(store, name, long_ago, ended=True)
    await store.commit(Unit((AppendEntry(KEY, 0, "kept", "kept", long_ago),)))
    await live_through(store, "new", clock.now_ms(), ended=True)
    await forget(store, clock, Keep())
    contents = await store.read(ContentPage("", 10))
    assert [row.content_id for row in contents] == ["kept", "new"]
