"""Following the log: everything once and in order, or it is said what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.tasks import Ending, TaskOwner
from gateway.events import log as module
from gateway.events.log import (
    EVERYTHING,
    PORTION,
    CaughtUp,
    Event,
    EventLog,
    Filter,
    Gap,
    Notification,
)
from gateway.store.base.conversations import PutContent
from gateway.store.base.events import EventRow
from gateway.store.base.retention import PruneEvents, RaiseLogFloor
from gateway.store.base.store import NewEvent, Store, Unit
from tests.unit.gateway.runs.stores import FlakyStore


@pytest.fixture
async def log(store: FlakyStore) -> EventLog:
    opened = EventLog(store)
    await opened.open()
    return opened


async def write(store: Store, *kinds: str, session: str = "", turn: str = "") -> None:
    events = tuple(NewEvent(1, kind, session_key=session, turn_id=turn) for kind in kinds)
    await store.commit(Unit(events=events))


async def prune(store: Store, keep: int) -> None:
    await store.commit(Unit((PruneEvents(0, keep, 10_000), RaiseLogFloor())))


class Reader:
    """A subscription, read in pieces."""

    def __init__(self, log: EventLog, after: int = 0, wanted: Filter = EVERYTHING) -> None:
        items = log.subscribe(after, wanted)
        self.items = cast("AsyncGenerator[Notification, None]", items)

    async def take(self, count: int) -> list[Notification]:
        return [await anext(self.items) for _ in range(count)]

    async def close(self) -> None:
        await self.items.aclose()


def shown(items: list[Notification]) -> list[tuple[str, int, int]]:
    return [(type(item).__name__, item.prev_seq, item.seq) for item in items]


async def test_a_subscription_replays_and_goes_on_live(store: FlakyStore, log: EventLog) -> None:
    """Each entry names the one before it, so a reader can see that none is missing."""
    await write(store, "a", "b")
    await write(store, "c")
    reader = Reader(log, 1)
    assert shown(await reader.take(2)) == [("Event", 1, 2), ("Event", 2, 3)]
    owner = TaskOwner("test", lambda name, error: None)
    waiting = owner.start("next", reader.take(1), ending=Ending.CANCELLABLE)
    await write(store, "d")
    assert shown(await waiting) == [("Event", 3, 4)]
    await reader.close()


async def test_entries_of_an_earlier_process_are_read_from_the_store(
    store: FlakyStore,
) -> None:
    """Page after page, then from memory."""
    await write(store, *("old",) * (2 * module.PAGE + 1))
    log = EventLog(store)
    await log.open()
    assert log.head == 2 * module.PAGE + 1
    await write(store, "new")
    store.reads = 0
    reader = Reader(log)
    items = await reader.take(log.head)
    assert [item.seq for item in items] == list(range(1, log.head + 1))
    assert store.reads == 3
    store.reads = 0
    assert shown(await Reader(log, log.head - 1).take(1)) == [("Event", log.head - 1, log.head)]
    assert store.reads == 0


async def test_a_filter_shows_what_it_asks_for_and_keeps_the_chain(
    store: FlakyStore, log: EventLog
) -> None:
    """`prev_seq` is the number the reader was told of last, not the one it never saw."""
    await write(store, "turn.started", session="s1", turn="t1")
    await write(store, "turn.started", session="s2", turn="t2")
    await write(store, "delivery.sent", session="s1", turn="t1")
    await write(store, "turn.completed", session="s1", turn="t1")
    await write(store, "turn.started", session="s2", turn="t3")
    reader = Reader(log, 0, Filter(session_key="s1", kinds=("turn.",)))
    assert shown(await reader.take(3)) == [
        ("Event", 0, 1),
        ("Event", 1, 4),
        ("CaughtUp", 4, 5),
    ]
    await write(store, "turn.failed", session="s1")
    assert shown(await reader.take(1)) == [("Event", 5, 6)]


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(), True),
        (Filter(session_key="s1", agent_id="main", turn_id="t1", kinds=("turn.started",)), True),
        (Filter(kinds=("delivery.", "turn.")), True),
        (Filter(kinds=("turn",)), False),
        (Filter(kinds=("turn.start",)), False),
        (Filter(session_key="s2"), False),
        (Filter(agent_id="luna"), False),
        (Filter(turn_id="t2"), False),
        (Filter(session_key="s1", kinds=("delivery.",)), False),
    ],
)
def test_every_field_that_is_set_must_match(wanted: Filter, matches: bool) -> None:
    """Kinds are names, or families with their dot."""
    row = EventRow(1, 1, "turn.started", "s1", "main", "t1", "{}", "", None)
    assert wanted.matches(row) is matches


async def test_a_reader_of_nothing_is_moved_on_once_a_pause(
    store: FlakyStore, log: EventLog
) -> None:
    """So that resuming does not read it all again; nothing is said when nothing happened."""
    reader = Reader(log, 0, Filter(kinds=("never",)))
    await write(store, "a", "b", "c")
    assert await reader.take(1) == [CaughtUp(3, 0)]
    owner = TaskOwner("test", lambda name, error: None)
    waiting = owner.start("next", reader.take(1), ending=Ending.CANCELLABLE)
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    await write(store, "d")
    assert await waiting == [CaughtUp(4, 3)]


async def test_what_retention_took_is_said(store: FlakyStore, log: EventLog) -> None:
    """The gap ends before the oldest entry that is left."""
    await write(store, *"abcdef")
    await prune(store, 2)
    log.forget()
    assert shown(await Reader(log, 1).take(3)) == [
        ("Gap", 1, 4),
        ("Event", 4, 5),
        ("Event", 5, 6),
    ]
    await prune(store, 0)
    log.forget()
    reader = Reader(log, 3)
    assert await reader.take(1) == [Gap(6, 3)]
    await write(store, "g")
    assert shown(await reader.take(1)) == [("Event", 6, 7)]


async def test_a_gap_follows_the_last_entry_that_was_told(store: FlakyStore, log: EventLog) -> None:
    """A slow reader's place was pruned while it was reading; the chain has no hole."""
    await write(store, *"abc")
    reader = Reader(log)
    assert shown(await reader.take(1)) == [("Event", 0, 1)]
    await write(store, *"defg")
    await prune(store, 2)
    log.forget()
    # What was at hand is still told.
    assert shown(await reader.take(4)) == [
        ("Event", 1, 2),
        ("Event", 2, 3),
        ("Gap", 3, 5),
        ("Event", 5, 6),
    ]


async def test_a_reader_slower_than_memory_falls_back_to_the_store(
    store: FlakyStore, log: EventLog
) -> None:
    """It misses nothing, and holds nothing up."""
    await write(store, "first")
    reader = Reader(log)
    await reader.take(1)
    total = module.RECENT + module.PAGE + 2
    for _ in range(total // 100):
        await write(store, *("x",) * 100)
    store.reads = 0
    items = await reader.take(log.head - 1)
    assert [item.seq for item in items] == list(range(2, log.head + 1))
    assert all(isinstance(item, Event) for item in items)
    assert store.reads > 0


async def test_memory_is_bounded_by_words_too(store: FlakyStore) -> None:
    """A few large messages leave it as many small ones would; nothing is missed."""
    log = EventLog(store, recent_chars=1000)
    await log.open()
    for number in range(10):
        content = PutContent(f"c{number}", "s1", f'"{"x" * 300}"')
        event = NewEvent(1, "said", content_id=f"c{number}")
        await store.commit(Unit((content,), (event,)))
    store.reads = 0
    items = await Reader(log, 0).take(10)
    assert [item.seq for item in items] == list(range(1, 11))
    assert all(isinstance(item, Event) and item.row.body for item in items)
    assert store.reads == 1
    store.reads = 0
    await Reader(log, 8).take(1)
    assert store.reads == 0


async def test_a_number_from_the_future_means_now(store: FlakyStore, log: EventLog) -> None:
    """A client of a database that was restored from a backup sees it by `prev_seq`."""
    await write(store, "a")
    for after in (1, 100):
        reader = Reader(log, after)
        await write(store, "b")
        (item,) = await reader.take(1)
        assert item.prev_seq == item.seq - 1
        assert item.seq == log.head


async def test_a_negative_number_means_the_beginning(store: FlakyStore, log: EventLog) -> None:
    """Not a gap."""
    await write(store, "a")
    assert shown(await Reader(log, -5).take(1)) == [("Event", 0, 1)]


async def test_many_readers_see_the_same(store: FlakyStore, log: EventLog) -> None:
    """However they interleave with the writer and each other."""
    owner = TaskOwner("test", lambda name, error: None)
    readers = [
        owner.start(f"reader.{number}", Reader(log).take(60), ending=Ending.CANCELLABLE)
        for number in range(40)
    ]
    for number in range(30):
        await write(store, f"a{number}", f"b{number}")
    seen = [[item.seq for item in await reader] for reader in readers]
    assert seen == [list(range(1, 61))] * 40


async def test_ending_a_subscription_leaves_nothing_behind(
    store: FlakyStore, log: EventLog
) -> None:
    """In the middle of a page or while it waits."""
    await write(store, "a", "b")
    async with aclosing(Reader(log).items) as items:
        await anext(items)
    reader = Reader(log, 2)
    owner = TaskOwner("test", lambda name, error: None)
    waiting = owner.start("next", reader.take(1), ending=Ending.CANCELLABLE)
    await asyncio.wait([waiting], timeout=0)
    await owner.close()
    await write(store, "c")
    assert shown(await Reader(log, 2).take(1)) == [("Event", 2, 3)]


async def test_a_silent_store_ends_a_subscription_that_needs_it(
    store: FlakyStore, log: EventLog
) -> None:
    """The reader subscribes again after the last number it has."""
    await write(store, "a", "b")
    log.forget()
    store.down = True
    with pytest.raises(StoreUnavailable):
        await Reader(log).take(1)
    store.down = False
    assert shown(await Reader(log).take(2)) == [("Event", 0, 1), ("Event", 1, 2)]


async def test_entries_written_while_the_log_opens_are_not_missed(store: FlakyStore) -> None:
    """They are heard of before it is known where the log stands."""
    await write(store, "a", "b")
    log = EventLog(store)
    await asyncio.gather(log.open(), write(store, "c"), write(store, "d"))
    assert log.head == 4
    assert [item.seq for item in await Reader(log).take(4)] == [1, 2, 3, 4]
    assert [item.seq for item in await Reader(log, 2).take(2)] == [3, 4]


async def test_blanked_words_are_not_remembered(store: FlakyStore, log: EventLog) -> None:
    """Once told to forget, a replay shows what the store has."""
    content = PutContent("c1", "s1", '"secret"')
    await store.commit(Unit((content,), (NewEvent(1, "said", content_id="c1"),)))
    (item,) = await Reader(log).take(1)
    assert isinstance(item, Event)
    assert item.row.body == '"secret"'
    log.forget()
    store.reads = 0
    await Reader(log).take(1)
    assert store.reads == 1


async def test_a_part_can_be_read_without_subscribing(store: FlakyStore, log: EventLog) -> None:
    """Strictly after a number, at most so many; what is remembered asks the store nothing."""
    await write(store, *"abcd")
    store.reads = 0
    assert [row.kind async for row in log.scan(1, 2)] == ["b", "c"]
    assert store.reads == 0
    log.forget()
    assert [row.kind async for row in log.scan(1, 2)] == ["b", "c"]
    assert store.reads == 1


async def test_a_scan_reads_no_more_than_is_taken_of_it(store: FlakyStore, log: EventLog) -> None:
    """One page of a long log does not cost what all of it would."""
    await write(store, *"e" * (2 * PORTION + 1))
    log.forget()
    store.reads = 0
    async with aclosing(log.scan(0, 10 * PORTION)) as rows:
        for _ in range(PORTION):
            await anext(rows)
        assert store.reads == 1
        assert [row.seq async for row in rows] == list(range(PORTION + 1, 2 * PORTION + 2))
