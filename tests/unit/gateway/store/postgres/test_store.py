"""Several stores on one database: each hears everything, in one order."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import asyncpg
import pytest

from gateway.core.clock import SystemClock
from gateway.core.errors import LeaseHeld, StoreUnavailable
from gateway.store.base.conversations import CutTranscript, ExpectIdle, GetSession, LoadTranscript
from gateway.store.base.events import EventRow, ReadEvents
from gateway.store.base.runs import AbandonedRuns, RenewLeases, TakeRun
from gateway.store.base.store import Committed, Unit
from gateway.store.postgres.store import connect_store
from tests.support import database
from tests.support.patience import PATIENCE_S
from tests.support.store_units import (
    SESSION,
    a_begin,
    a_content,
    a_run,
    a_session,
    an_entry,
    an_input,
    happened,
    put,
    refusal,
)
from tests.unit.gateway.store.postgres.conftest import Open

pytestmark = pytest.mark.postgres


async def heard_by(rows: list[EventRow], total: int) -> None:
    """Wait until that many were heard."""
    async with asyncio.timeout(PATIENCE_S):
        while len(rows) < total:
            await SystemClock().sleep(0.005)


async def test_every_store_hears_the_events_of_all_in_one_order(connect: Open) -> None:
    """No event is missed or heard out of order, whoever wrote it, words included."""
    stores = [await connect() for _ in range(3)]
    heard: list[list[EventRow]] = [[] for _ in stores]
    for store, rows in zip(stores, heard, strict=True):
        store.listen(lambda committed, rows=rows: rows.extend(committed.events))  # type: ignore[misc]  # a default binds it

    async def write(number: int) -> None:
        for turn in range(15):
            content = a_content(content_id=f"{number}.{turn}", body=f'"{turn}"')
            event = happened(f"w{number}", content_id=content.content_id)
            await stores[number % 3].commit(Unit((content,), (event,)))

    await asyncio.gather(*(write(number) for number in range(9)))
    for rows in heard:
        await heard_by(rows, 135)
        assert [row.seq for row in rows] == list(range(1, 136))
    assert heard[0] == heard[1] == heard[2] == await stores[0].read(ReadEvents(0, 999))


async def test_a_transaction_left_open_hides_no_event_from_who_reads_on(
    connect: Open, url: str
) -> None:
    """With a plain sequence the later number would be seen first and the earlier one never.

    Two transactions are open at once: the first takes its number and does not commit, the second
    wants the next one. Whoever follows the log sees neither, or the first alone, or both.
    """
    store = await connect()
    seen: list[int] = []
    store.listen(lambda committed: seen.extend(row.seq for row in committed.events))
    first = await asyncpg.connect(url)
    opened = first.transaction()
    await opened.start()
    insert = (
        "WITH head AS (UPDATE log_head SET seq = seq + 1 WHERE id = 1 RETURNING seq) INSERT INTO "
        "events SELECT seq, 1, 'first', '', '', '', '{}', '' FROM head RETURNING seq"
    )
    assert await first.fetchval(insert) == 1
    async with asyncio.TaskGroup() as group:
        second = group.create_task(store.commit(Unit(events=(happened("second"),))))
        for _ in range(20):
            await SystemClock().sleep(0.005)
            assert await store.read(ReadEvents(0, 9)) == []
        assert not second.done()
        await opened.commit()
    await first.close()
    assert [(row.seq, row.kind) for row in await store.read(ReadEvents(0, 9))] == [
        (1, "first"),
        (2, "second"),
    ]
    assert seen == [1, 2]


async def test_what_was_written_while_nobody_listened_is_not_told_again(connect: Open) -> None:
    """A store that opens later begins at the head."""
    store = await connect()
    await store.commit(Unit(events=(happened("before"),)))
    late = await connect()
    heard: list[Committed] = []
    late.listen(heard.append)
    await late.commit(Unit(events=(happened("after"),)))
    assert [row.kind for batch in heard for row in batch.events] == ["after"]


async def test_an_owner_that_was_overtaken_while_it_wrote_writes_nothing(
    connect: Open, url: str
) -> None:
    """Its step waits for the takeover under way, and is refused by the epoch that one gives."""
    store = await connect()
    await put(store, a_run())
    taker = await asyncpg.connect(url)
    taking = taker.transaction()
    await taking.start()
    await taker.execute("UPDATE runs SET epoch = 2, holder = 'w2' WHERE run_id = 'r1'")
    async with asyncio.TaskGroup() as group:
        late = group.create_task(refusal(put(store, a_begin())))
        await SystemClock().sleep(0.05)
        assert not late.done()
        await taking.commit()
    await taker.close()
    assert (await late).__name__ == "LeaseLost"  # type: ignore[union-attr]  # it was refused


async def test_a_lease_ends_by_the_clock_of_the_database(url: str, server: None) -> None:
    """A machine whose clock is an hour ahead takes nobody's run, and keeps its own no longer."""
    store = await connect_store(url, clock=SystemClock())
    now = SystemClock().now_ms()
    hour = 3_600_000
    await put(store, a_run()._replace(at=now, lease_until=now + 30_000))
    ahead = TakeRun("r1", "w2", now + hour + 30_000, now + hour)
    assert await refusal(put(store, ahead)) is LeaseHeld
    assert await store.read(AbandonedRuns(now + hour, "", 9)) == []
    await put(store, RenewLeases("w1", now - hour + 1, now - hour))  # one millisecond from now
    async with asyncio.timeout(PATIENCE_S):
        while not await store.read(AbandonedRuns(now - hour, "", 9)):
            await SystemClock().sleep(0.005)
    await put(store, ahead)
    await store.close()


async def both_at_once(url: str, *works: Coroutine[Any, Any, object]) -> list[str]:
    """What became of works that all have to wait for one conversation, and then go on together."""
    holder, looker = await asyncpg.connect(url), await asyncpg.connect(url)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    holding = holder.transaction()
    await holding.start()
    await holder.execute("SELECT 1 FROM sessions WHERE session_key = $1 FOR UPDATE", SESSION)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(refusal(work)) for work in works]
        while await looker.fetchval(waiting) < len(works):
            await SystemClock().sleep(0.005)
        await holding.commit()
    await holder.close()
    await looker.close()
    return sorted(outcome.__name__ if (outcome := task.result()) else "" for task in tasks)


async def test_the_last_place_in_a_mailbox_is_given_once(connect: Open, url: str) -> None:
    """Two processes accept for one conversation: the second counts what the first committed."""
    one, two = await connect(), await connect()
    await put(one, a_content(), a_session(), an_input(mailbox=2))
    works = [
        put(store, a_session(), an_input(turn_id=name, external_id=name, mailbox=2))
        for store, name in ((one, "t2"), (two, "t3"))
    ]
    assert await both_at_once(url, *works) == ["", "Busy"]


async def test_a_conversation_is_cut_once_by_two_who_saw_the_same(connect: Open, url: str) -> None:
    """The second would take back turns it has not been asked about."""
    one, two = await connect(), await connect()
    entries = [an_entry(position=place, turn_id=f"t{place}") for place in range(4)]
    await put(one, a_content(), a_session(), *entries)
    works = [put(store, ExpectIdle(SESSION), CutTranscript(SESSION, 2, 4)) for store in (one, two)]
    assert await both_at_once(url, *works) == ["", "Conflict"]
    assert [row.position for row in await one.read(LoadTranscript(SESSION))] == [0, 1]


async def test_a_cut_and_a_new_message_do_not_pass_each_other(connect: Open, url: str) -> None:
    """Either the message waits and finds it shorter, or it is there and nothing is cut."""
    one, two = await connect(), await connect()
    entries = [an_entry(position=place, turn_id=f"t{place}") for place in range(4)]
    await put(one, a_content(), a_session(), *entries)
    outcomes = await both_at_once(
        url,
        put(one, a_session(), an_input(turn_id="t9")),
        put(two, ExpectIdle(SESSION), CutTranscript(SESSION, 2, 4)),
    )
    left = len(await one.read(LoadTranscript(SESSION)))
    assert (outcomes, left) in ((["", ""], 2), (["", "Conflict"], 4))


async def test_what_needs_an_idle_conversation_is_accepted_once(connect: Open, url: str) -> None:
    """By one of two processes that ask at the same moment."""
    one, two = await connect(), await connect()
    await put(one, a_session())
    works = [
        put(store, ExpectIdle(SESSION), an_input(turn_id=name, external_id=name))
        for store, name in ((one, "t2"), (two, "t3"))
    ]
    assert await both_at_once(url, *works) == ["", "Conflict"]


@pytest.mark.timeout(20)  # the server stops and starts
async def test_reads_while_the_server_is_started_again_are_refused_with_a_type_or_answered(
    connect: Open,
) -> None:
    """Wherever the cut meets them: asyncpg has names of its own for some of those moments."""
    store = await connect()
    started = [False]

    async def read() -> set[type[BaseException] | None]:
        met: set[type[BaseException] | None] = set()
        while not started[0]:
            met.add(await refusal(store.read(GetSession("s"))))
            await SystemClock().sleep(0.001)
        return met

    reading = [asyncio.get_running_loop().create_task(read()) for _ in range(8)]
    for _ in range(2):
        await asyncio.to_thread(database.restart)
        await SystemClock().sleep(0.1)
    started[0] = True
    assert set().union(*await asyncio.gather(*reading)) <= {None, StoreUnavailable}
    assert await store.read(GetSession("s")) == []
