"""A reader that is cut off anywhere and resumes by number sees every entry of the log once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock import settle
from gateway.events.log import CaughtUp, Event, EventLog, Filter, Gap, Notification
from gateway.store.base.events import GetLogBounds, LogBounds
from gateway.store.base.retention import PruneEvents, RaiseLogFloor
from gateway.store.base.store import NewEvent, Store, Unit
from gateway.store.sqlite.store import open_sqlite
from tests.properties.examples import examples

KINDS = ("turn.started", "turn.completed", "delivery.sent")
SESSIONS = ("s1", "s2")


@dataclass(frozen=True)
class Write:
    """Entries of one unit; the writer then lets others run for a while."""

    entries: tuple[tuple[str, str], ...]
    pause: int


@dataclass(frozen=True)
class Prune:
    """Retention keeps the newest so many."""

    keep: int


entries = st.tuples(st.sampled_from(KINDS), st.sampled_from(SESSIONS))
writes = st.builds(Write, st.lists(entries, min_size=1, max_size=4).map(tuple), st.integers(0, 8))
filters = st.builds(
    Filter,
    session_key=st.sampled_from(("", *SESSIONS)),
    kinds=st.sampled_from(((), ("turn.",), ("turn.completed", "delivery."), ("never",))),
)
cuts = st.lists(st.integers(1, 12), max_size=12)
"""How many notifications are read before each cut."""


async def write(store: Store, actions: Sequence[Write | Prune]) -> None:
    for action in actions:
        match action:
            case Write(said, pause):
                unit = Unit(events=tuple(NewEvent(1, kind, key) for kind, key in said))
                await store.commit(unit)
                await settle(pause)
            case Prune(keep):
                await store.commit(Unit((PruneEvents(0, keep, 1000), RaiseLogFloor())))


async def read(
    log: EventLog, wanted: Filter, cuts: Sequence[int], *, total: int
) -> list[Notification]:
    """Everything a client is told until it has reached entry `total`, over all its connections."""
    told: list[Notification] = []
    left = list(cuts)
    while True:
        after = told[-1].seq if told else 0
        if after >= total:
            return told
        patience = left.pop(0) if left else 10**6
        items = cast("AsyncGenerator[Notification, None]", log.subscribe(after, wanted))
        async with aclosing(items):
            async for item in items:
                told.append(item)
                patience -= 1
                if not patience or item.seq >= total:
                    break


def check(told: Sequence[Notification], log: Sequence[tuple[str, str]], wanted: Filter) -> None:
    """`log` is what was ever written; entry `n` has the number `n + 1`."""
    before = 0
    gone: set[int] = set()
    for item in told:
        assert item.prev_seq == before, "the chain has a hole"
        assert item.seq > before
        if isinstance(item, Gap):
            gone.update(range(before + 1, item.seq + 1))
        before = item.seq
    shown = [item for item in told if isinstance(item, Event)]
    assert all((item.row.kind, item.row.session_key) == log[item.seq - 1] for item in shown)
    matching = {
        number
        for number, (kind, session) in enumerate(log, start=1)
        if wanted.session_key in ("", session)
        and (not wanted.kinds or any(kind == k or kind.startswith(k) for k in wanted.kinds))
    }
    assert [item.seq for item in shown] == sorted(matching - gone)


def all_entries(actions: Sequence[Write | Prune]) -> list[tuple[str, str]]:
    return [entry for action in actions if isinstance(action, Write) for entry in action.entries]


@examples(50)
@given(
    st.lists(writes, min_size=1, max_size=25),
    st.lists(st.tuples(filters, cuts), min_size=1, max_size=4),
    st.integers(1, 40),
)
@pytest.mark.timeout(60)
async def test_a_reader_sees_each_wanted_entry_once_while_others_write(
    actions: Sequence[Write], readers: Sequence[tuple[Filter, Sequence[int]]], recent: int
) -> None:
    """Replay meets live without gap or overlap, with a memory of any size."""
    said = all_entries(actions)
    store = await open_sqlite(None)
    try:
        log = EventLog(store, recent=recent)
        await log.open()
        reading = [read(log, wanted, cuts, total=len(said)) for wanted, cuts in readers]
        told = await asyncio.gather(*reading, write(store, actions))
        for (wanted, _), items in zip(readers, told[:-1], strict=True):
            assert items is not None
            assert not any(isinstance(item, Gap) for item in items)
            check(items, said, wanted)
    finally:
        await store.close()


@examples(40)
@given(
    st.lists(st.one_of(writes, st.builds(Prune, st.integers(0, 10))), min_size=1, max_size=25),
    filters,
    cuts,
    st.integers(1, 40),
)
@pytest.mark.timeout(60)
async def test_what_a_reader_missed_by_retention_it_is_told(
    actions: Sequence[Write | Prune], wanted: Filter, cuts: Sequence[int], recent: int
) -> None:
    """Every wanted entry was shown, or lies in a gap that was told and had been pruned."""
    said = all_entries(actions)
    store = await open_sqlite(None)
    try:
        log = EventLog(store, recent=recent)
        await log.open()
        told, _ = await asyncio.gather(
            read(log, wanted, cuts, total=len(said)), write(store, actions)
        )
        check(told, said, wanted)
        bounds: list[LogBounds] = await store.read(GetLogBounds())
        assert all(item.seq <= bounds[0].floor for item in told if isinstance(item, Gap))
        assert told or not said
        assert not any(isinstance(item, CaughtUp) and item.seq > len(said) for item in told)
    finally:
        await store.close()
