"""What every store does, whatever it is made of: one body, one parameter an implementation.

This file has the rules of units, order, events and closing; the state machines of each family of
operations are in `test_store_conversations`, `test_store_runs` and `test_store_retention`.
"""

import asyncio
from typing import get_args

import pytest

from gateway.core.clock import settle
from gateway.core.errors import InvalidInput, NotFound, StoreUnavailable, TurngateError
from gateway.store.base.bindings import RemoveBinding
from gateway.store.base.catalog import GUARDS, Op
from gateway.store.base.conversations import GetSession, ListSessions, LoadTranscript
from gateway.store.base.events import EventRow, GetLogBounds, LogBounds, ReadEvents
from gateway.store.base.inputs import EndInput, EndQueued, MergeInput, PauseInput, StartInput
from gateway.store.base.outbox import BeginSend, EndSend
from gateway.store.base.runs import (
    AppendStream,
    AwaitKey,
    CountRecovery,
    LoadStream,
    ParkRun,
    TakeRun,
)
from gateway.store.base.steps import LoadSteps
from gateway.store.base.store import Committed, Durability, NewEvent, Receipt, Store, Unit
from tests.support.store_units import (
    CASES,
    SESSION,
    a_begin,
    a_completion,
    a_content,
    a_delivery,
    a_key,
    a_record,
    a_run,
    a_run_end,
    a_session,
    an_entry,
    an_input,
    everything,
    happened,
    one,
    put,
    refusal,
)

# Units hold together or not at all.


def test_every_operation_has_a_guard_and_a_case() -> None:
    """The union, the table of guards and this suite name the same operations."""
    assert set(get_args(Op)) == set(GUARDS)
    assert {op.__name__ for op in GUARDS} == {op.__name__ for op in CASES}
    for op, guard in GUARDS.items():
        refused = [error for _, error in CASES[op].refused]
        assert type(CASES[op].accepted) is op
        assert all(type(bad) is op for bad, _ in CASES[op].refused)
        assert guard.refused is None or guard.refused in refused, op


@pytest.mark.parametrize("op", GUARDS, ids=lambda op: op.__name__)
async def test_an_operation_is_accepted_when_its_guard_holds(store: Store, op: type[Op]) -> None:
    """Guards that give rows back return at least one; the others return none."""
    case = CASES[op]
    receipt = await put(store, *case.given, case.accepted)
    returned = receipt.rows.get(len(case.given), ())
    assert bool(returned) is GUARDS[op].returns


@pytest.mark.parametrize("op", GUARDS, ids=lambda op: op.__name__)
async def test_an_operation_is_refused_when_its_guard_does_not_hold(
    store: Store, op: type[Op]
) -> None:
    """A refusal is the error of the table and changes nothing; without guard, again is harmless."""
    case = CASES[op]
    await put(store, *case.given, case.accepted)
    before = await everything(store)
    for bad, error in case.refused:
        assert await refusal(put(store, bad)) is error
        assert await refusal(put(store, a_content(content_id="beside"), bad)) is error
    if not case.refused:
        await put(store, case.accepted)
    assert await everything(store) == before


async def test_a_unit_holds_whole_or_not_at_all(store: Store) -> None:
    """The last operation is refused, so neither the first ones nor the events are there."""
    unit = Unit((a_content(), a_session(), RemoveBinding("none")), (happened(),))
    assert await refusal(store.commit(unit)) is NotFound
    assert await store.read(GetSession(SESSION)) == []
    assert await store.read(ReadEvents(0, 10)) == []
    await put(store, a_content())  # the id is still free


async def test_one_refused_unit_among_a_hundred_leaves_the_others(store: Store) -> None:
    """Units share a transaction, not their fate."""
    units = [Unit((a_session(session_key=f"s{n}"),), (happened(),)) for n in range(100)]
    units[41] = Unit((a_session(session_key="s41"), RemoveBinding("none")), (happened(),))
    outcomes = await asyncio.gather(*map(store.commit, units), return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, NotFound)] == [41]
    kept = {row.session_key for row in await store.read(ListSessions(2**40, "", 200))}
    assert kept == {f"s{n}" for n in range(100)} - {"s41"}
    assert (await one(store, GetLogBounds())).head == 99


UNSTORABLE: dict[str, Unit] = {
    "a lone surrogate": Unit((a_content(body="\ud800"),)),
    "a lone surrogate after a good operation": Unit((a_session(), a_content(body="\ud800"))),
    "a lone surrogate in an event": Unit((a_session(),), (happened("\ud800"),)),
    "65 bits": Unit((a_session(at=2**64),)),
    "65 bits in an event": Unit((a_session(),), (happened(at=2**64),)),
    "no such state": Unit((an_input(), EndQueued("t1", "perhaps", 1))),
}


@pytest.mark.parametrize("unit", UNSTORABLE.values(), ids=UNSTORABLE)
async def test_a_value_nothing_can_keep_is_refused_alone(store: Store, unit: Unit) -> None:
    """People's text holds anything; what no database takes harms neither neighbours nor store."""
    good = [Unit((a_session(session_key=f"s{n}"),), (happened(),)) for n in range(2)]
    outcomes = await asyncio.gather(
        *map(store.commit, (good[0], unit, good[1])), return_exceptions=True
    )
    assert [isinstance(outcome, InvalidInput) for outcome in outcomes] == [False, True, False]
    assert len(await store.read(ListSessions(2**40, "", 9))) == 2
    assert (await one(store, GetLogBounds())).head == 2


@pytest.mark.parametrize(
    "text", ["", "\0", "a\0b", "é✓😀", "'; DROP TABLE runs; --", '"\\ud800"', "x" * 300_000]
)
async def test_text_comes_back_as_it_went_in(store: Store, text: str) -> None:
    """Nothing is cut at a zero byte, normalised or taken for a statement."""
    await put(store, a_content(body=text), an_entry())
    assert (await one(store, LoadTranscript(SESSION))).body == text


@pytest.mark.parametrize("durability", Durability)
async def test_every_durability_is_accepted(store: Store, durability: Durability) -> None:
    """Alone, and beside units that ask for another one."""
    await store.commit(Unit((a_session(session_key="alone"),), durability=durability))
    await asyncio.gather(
        *(
            store.commit(Unit((a_session(session_key=f"{other}"),), durability=other))
            for other in Durability
        )
    )
    assert len(await store.read(ListSessions(2**40, "", 9))) == 4


async def test_a_unit_may_be_empty_or_hold_events_alone(store: Store) -> None:
    """Nothing to guard means nothing to refuse."""
    assert (await store.commit(Unit())).rows == {}
    await store.commit(Unit(events=(happened("a"), happened("b"))))
    assert [row.kind for row in await store.read(ReadEvents(0, 9))] == ["a", "b"]


async def test_rows_come_back_by_the_place_of_their_operation(store: Store) -> None:
    """Other operations of the unit leave no trace in the receipt."""
    receipt = await put(store, a_content(), an_input(), a_session(), an_input(turn_id="t2"))
    assert sorted(receipt.rows) == [1, 3]
    assert receipt.value(1) < receipt.value(3)


# Order, and what a cancelled wait does.


async def test_a_posted_unit_is_executed_before_a_later_commit(store: Store) -> None:
    """Nobody waits for a begun step, yet completing it finds it begun."""
    await put(store, a_run())
    for n in range(50):
        store.post(Unit((a_begin(path=f"{n}"),), durability=Durability.POSTED))
        await put(store, a_completion(path=f"{n}"))
    steps = await store.read(LoadSteps("r1"))
    assert [step.status for step in steps] == ["completed"] * 50


async def test_posted_units_keep_their_order(store: Store) -> None:
    """A thousand pieces of a stream, then one commit that closes it."""
    await put(store, a_run())
    for n in range(1000):
        store.post(Unit((AppendStream("r1", n, f"{n}", 1),), (happened(f"{n}"),)))
    await store.commit(Unit())
    pieces = await store.read(LoadStream("r1", -1, 2000))
    assert [piece.body for piece in pieces] == [f"{n}" for n in range(1000)]
    events = await store.read(ReadEvents(0, 2000))
    assert [event.kind for event in events] == [f"{n}" for n in range(1000)]


async def test_a_refused_posted_unit_harms_nobody(store: Store) -> None:
    """Nobody learns of it, and what comes after it holds."""
    store.post(Unit((RemoveBinding("none"),), (happened(),)))
    await store.commit(Unit((a_session(),), (happened("after"),)))
    assert [row.kind for row in await store.read(ReadEvents(0, 9))] == ["after"]


async def test_what_was_committed_is_read(store: Store) -> None:
    """Sixty-four writers, each reads its own row after each commit."""

    async def write_and_read(name: str) -> None:
        for n in range(5):
            await put(store, a_session(session_key=name, at=n))
            assert (await one(store, GetSession(name))).last_active_at == n

    await asyncio.gather(*(write_and_read(f"s{n}") for n in range(64)))


async def test_a_cancelled_wait_does_not_cancel_the_unit(store: Store) -> None:
    """It is executed, its neighbours hear, and the next unit finds a clean connection."""
    async with asyncio.TaskGroup() as group:
        waits = [
            group.create_task(store.commit(Unit((a_session(session_key=f"s{n}"),), (happened(),))))
            for n in range(20)
        ]
        await settle(1)  # every one is submitted, none has heard
        for wait in waits[::2]:
            wait.cancel()
    assert [wait.cancelled() for wait in waits] == [True, False] * 10
    assert await refusal(put(store, a_session(session_key="bad"), RemoveBinding("x"))) is NotFound
    await put(store, a_session(session_key="next"))
    kept = {row.session_key for row in await store.read(ListSessions(2**40, "", 99))}
    assert kept == {f"s{n}" for n in range(20)} | {"next"}
    assert (await one(store, GetLogBounds())).head == 20


async def test_a_cancelled_read_leaves_its_connection_usable(store: Store) -> None:
    """Reads go on after more cancelled ones than there are connections."""
    await put(store, a_session())
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(store.read(GetSession(SESSION))) for _ in range(16)]
        await settle(1)
        for read in reads:
            read.cancel()
    assert (await one(store, GetSession(SESSION))).principal == "ann"


# Events.


async def test_events_are_numbered_without_gaps_in_commit_order(store: Store) -> None:
    """Refused units in between take no number; each writer's events keep their order."""

    async def write(name: str) -> None:
        for n in range(12):
            ops: tuple[Op, ...] = (RemoveBinding("none"),) if n % 3 == 1 else ()
            events = tuple(happened(f"{name}.{n}.{part}") for part in range(n % 4))
            await asyncio.gather(store.commit(Unit(ops, events)), return_exceptions=True)

    names = [f"w{n}" for n in range(16)]
    await asyncio.gather(*map(write, names))
    rows = await store.read(ReadEvents(0, 5000))
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    expected = [f"{n}.{part}" for n in range(12) if n % 3 != 1 for part in range(n % 4)]
    for name in names:
        mine = [row.kind.partition(".")[2] for row in rows if row.kind.startswith(f"{name}.")]
        assert mine == expected
    assert await one(store, GetLogBounds()) == LogBounds(floor=0, head=len(rows))


async def test_a_listener_hears_all_that_a_reader_reads(store: Store) -> None:
    """The same rows in the same order, words included, each batch joined to the one before."""
    heard: list[Committed] = []
    store.listen(heard.append)

    async def talk(name: str) -> None:
        await store.commit(
            Unit((a_content(content_id=name, body=f'"{name}"'),), (happened(content_id=name),))
        )
        await store.commit(Unit(events=(happened("again", content_id=name), happened("plain"))))
        await store.commit(Unit((a_session(session_key=name),)))

    await asyncio.gather(*(talk(f"c{n}") for n in range(20)))
    await store.commit(Unit(events=(happened("lost", content_id="nothing"),)))
    rows = [row for batch in heard for row in batch.events]
    assert rows == await store.read(ReadEvents(0, 100))
    assert len(rows) == 61
    assert all(row.body == f'"{row.content_id}"' for row in rows[:-1] if row.content_id)
    last = 0
    for batch in heard:
        assert batch.prev == last
        last = batch.events[-1].seq


async def test_a_listener_hears_before_the_committer_goes_on(store: Store) -> None:
    """So whoever sent something can wait for what comes of it without a race."""
    heard: list[EventRow] = []
    store.listen(lambda committed: heard.extend(committed.events))
    for n in range(5):
        await store.commit(Unit((), (happened(f"{n}"),)))
        assert heard[-1].kind == f"{n}"


async def test_every_listener_hears_although_another_fails(store: Store) -> None:
    """The failure goes to the loop's handler; the committer goes on."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: failures.append(context["exception"])
    )

    def fail(committed: Committed) -> None:
        raise ValueError(committed.prev)

    heard: list[Committed] = []
    store.listen(fail)
    store.listen(heard.append)
    await store.commit(Unit((), (happened(),)))
    assert len(heard) == 1
    assert [str(failure) for failure in failures] == ["0"]


async def test_a_listener_does_not_hear_of_units_without_events(store: Store) -> None:
    """Nor of refused ones."""
    heard: list[Committed] = []
    store.listen(heard.append)
    await put(store, a_session())
    await refusal(store.commit(Unit((RemoveBinding("none"),), (happened(),))))
    assert heard == []


async def test_events_are_read_in_pages(store: Store) -> None:
    """Strictly after a number, at most as many as asked for, each as it was given."""
    event = NewEvent(7, "turn.started", SESSION, "main", "t1", '{"n":1}', "c1")
    await store.commit(Unit((a_content(),), (event, happened("b"), happened("c"))))
    (first,) = await store.read(ReadEvents(0, 1))
    assert first == EventRow(1, *event, body='"words"')
    assert [row.kind for row in await store.read(ReadEvents(1, 9))] == ["b", "c"]
    assert await store.read(ReadEvents(3, 9)) == []


# Submitting again.

CLAIM_GIVEN = (a_content(), an_input(), an_input(turn_id="t2", external_id="x2"))

RESUBMITTED: dict[str, tuple[tuple[Op, ...], Unit]] = {
    "accept": (
        (),
        Unit(
            (a_content(), a_session(), an_input(external_id="x1"), a_key()),
            (happened("input.accepted", content_id="c1"),),
            Durability.CRITICAL,
        ),
    ),
    "claim": (
        CLAIM_GIVEN,
        Unit((StartInput("t1"), MergeInput("t2", "t1", 2), a_run()), (happened("turn.started"),)),
    ),
    "take": ((a_run(),), Unit((TakeRun("r1", "w2", 200, 100), CountRecovery("r1", 2, 1, 0)))),
    "record": ((a_run(),), Unit((a_record(),), (happened("step"),))),
    "complete": ((a_run(), a_begin()), Unit((a_completion(),), (happened("step"),))),
    "park": (
        (a_run(), an_input(), StartInput("t1")),
        Unit(
            (
                AwaitKey("r1", "approved"),
                ParkRun("r1", 1, "approval", None, 3),
                PauseInput("t1", "approval"),
            ),
            (happened("turn.waiting"),),
        ),
    ),
    "boundary": (
        (*CLAIM_GIVEN, StartInput("t1"), MergeInput("t2", "t1", 2), a_run(), a_begin()),
        Unit(
            (
                a_completion(),
                a_content(content_id="c9"),
                an_entry(content_id="c1"),
                an_entry(position=1, content_id="c9"),
                a_delivery(content_id="c9"),
                EndInput("t1", "answered", "", 9),
                a_run_end(),
            ),
            (happened("turn.completed", content_id="c9"),),
            Durability.CRITICAL,
        ),
    ),
    "send": ((a_delivery(),), Unit((BeginSend("d1", 2),), durability=Durability.CRITICAL)),
    "acknowledge": (
        (a_delivery(), BeginSend("d1", 2)),
        Unit((EndSend("d1", "sent", "m7", "", 3),), (happened("delivery.sent"),)),
    ),
}


@pytest.mark.parametrize("name", RESUBMITTED)
async def test_submitting_a_unit_again_changes_nothing(store: Store, name: str) -> None:
    """Whether it is refused or not: state and log are as after the first time."""
    given, unit = RESUBMITTED[name]
    await put(store, *given)
    await store.commit(unit)
    before = await everything(store)
    assert await refusal(store.commit(unit)) is not None
    assert await everything(store) == before


# The end.


async def test_closing_finishes_what_was_submitted(store: Store) -> None:
    """Awaited and posted units hold, their events are heard, their committers go on."""
    heard: list[EventRow] = []
    store.listen(lambda committed: heard.extend(committed.events))
    async with asyncio.TaskGroup() as group:
        waits = [
            group.create_task(store.commit(Unit((a_session(session_key=f"s{n}"),), (happened(),))))
            for n in range(100)
        ]
        await settle(1)
        store.post(Unit(events=(happened("posted"),)))
        await store.close()
        assert all(wait.done() for wait in waits)
    assert len(heard) == 101
    assert heard[-1].kind == "posted"


async def test_a_closed_store_says_so(store: Store) -> None:
    """Commits and reads are refused, posts are dropped, closing again is harmless."""
    await put(store, a_session())
    await store.close()
    assert await refusal(put(store, a_session())) is StoreUnavailable
    assert await refusal(store.read(GetSession(SESSION))) is StoreUnavailable
    store.post(Unit((a_session(),)))
    await store.close()


async def test_a_read_under_way_when_the_store_closes_ends(store: Store) -> None:
    """With its rows or with the same error as a later one, never with silence."""
    await put(store, a_session())
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(refusal(store.read(GetSession(SESSION)))) for _ in range(16)]
        await settle(1)
        await store.close()
    assert {read.result() for read in reads} <= {None, StoreUnavailable}


async def test_every_error_is_one_of_ours(store: Store) -> None:
    """Nobody above the store knows what it is made of."""
    for case in CASES.values():
        for bad, _ in case.refused:
            (outcome,) = await asyncio.gather(put(store, bad), return_exceptions=True)
            assert isinstance(outcome, Receipt | TurngateError)
