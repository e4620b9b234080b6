"""What every store keeps of durable runs: leases, epochs, steps, events, parking."""

import asyncio

import pytest

from gateway.core.errors import Conflict, LeaseHeld, LeaseLost
from gateway.store.base.catalog import Op
from gateway.store.base.costs import ChargeRun, RootCosts, RunCosts, SpentSince
from gateway.store.base.retention import PruneBlobs, PruneRuns
from gateway.store.base.runs import (
    AbandonedRuns,
    AppendStream,
    AwaitKey,
    CountRecovery,
    EmitRunEvent,
    ForgetKeys,
    GetRun,
    GetRunEvent,
    LoadStream,
    ParkRun,
    ReleaseRun,
    RenewLeases,
    ReopenRun,
    RequestCancel,
    RunEvents,
    RunsToStop,
    RunWaits,
    TakeRun,
    WakeableRuns,
)
from gateway.store.base.steps import DropStep, FailStep, GetBlob, LoadSteps, NoteStep, PutBlob
from gateway.store.base.store import Store
from tests.support.store_units import (
    a_begin,
    a_completion,
    a_copied_step,
    a_copy,
    a_record,
    a_run,
    a_run_end,
    everything,
    one,
    put,
    refusal,
)


def fenced(epoch: int) -> tuple[Op, ...]:
    """Every write of a run's owner; step `0` is begun, step `1` is not."""
    return (
        CountRecovery("r1", epoch, 1, 0),
        a_begin(epoch=epoch, path="1"),
        a_record(epoch=epoch, path="2"),
        a_completion(epoch=epoch),
        FailStep("r1", epoch, "1", "{}", 5),
        ReleaseRun("r1", epoch, "drain", 5),
        ParkRun("r1", epoch, "timer", 50, 5),
        a_run_end(epoch=epoch),
    )


@pytest.mark.parametrize(
    "place", range(len(fenced(1))), ids=[type(op).__name__ for op in fenced(1)]
)
async def test_a_stale_epoch_writes_nothing(store: Store, place: int) -> None:
    """An owner that wakes late is refused; the same write of the new owner holds."""
    await put(store, a_run(), a_begin(), a_begin(path="1"))
    receipt = await put(store, TakeRun("r1", "w2", 200, 100))
    assert receipt.value(0) == 2
    before = await everything(store)
    assert await refusal(put(store, fenced(1)[place])) is LeaseLost
    assert await refusal(put(store, fenced(3)[place])) is LeaseLost
    assert await everything(store) == before
    await put(store, fenced(2)[place])


@pytest.mark.parametrize("ending", [a_run_end(), ParkRun("r1", 1, "timer", None, 4)])
async def test_a_run_that_is_not_running_takes_no_write(store: Store, ending: Op) -> None:
    """Neither ended nor parked runs have an owner, whatever epoch somebody remembers."""
    await put(store, a_run(), a_begin(), a_begin(path="1"), ending)
    for op in fenced(1):
        assert await refusal(put(store, op)) is LeaseLost


async def test_a_run_is_opened_with_its_lease(store: Store) -> None:
    """Epoch one, and all that was given."""
    given = a_run(input='{"n":2}')
    await put(store, given)
    row = await one(store, GetRun("r1"))
    for name in set(given._fields) - {"at"}:
        assert getattr(row, name) == getattr(given, name), name
    assert (row.status, row.epoch, row.recoveries, row.cancel_requested) == ("running", 1, 0, 0)
    assert (row.created_at, row.updated_at, row.ended_at) == (1, 1, None)


async def test_a_lease_is_taken_by_one_of_many(store: Store) -> None:
    """Sixteen workers see a lease that is over; one gets the next epoch."""
    await put(store, a_run(lease_until=100))
    assert await refusal(put(store, TakeRun("r1", "early", 200, 99))) is LeaseHeld
    outcomes = await asyncio.gather(
        *(refusal(put(store, TakeRun("r1", f"w{n}", 200, 100))) for n in range(2, 18))
    )
    assert outcomes.count(None) == 1
    assert outcomes.count(LeaseHeld) == 15
    row = await one(store, GetRun("r1"))
    assert (row.epoch, row.lease_until, row.status) == (2, 200, "running")


async def test_a_run_that_ended_is_never_taken(store: Store) -> None:
    """Nor is one that does not exist."""
    await put(store, a_run(), a_run_end())
    assert await refusal(put(store, TakeRun("r1", "w2", 200, 150))) is LeaseHeld
    assert await refusal(put(store, TakeRun("none", "w2", 200, 150))) is LeaseHeld


async def test_a_released_run_is_taken_at_once(store: Store) -> None:
    """Its lease has not run out, but its owner gave it back."""
    await put(store, a_run(lease_until=10_000), ReleaseRun("r1", 1, "drain", 5))
    assert (await put(store, TakeRun("r1", "w2", 20_000, 6))).value(0) == 2


async def test_leases_of_one_worker_are_renewed_together(store: Store) -> None:
    """Not another's, not one that is over already, not one of an ended run."""
    await put(
        store,
        a_run(run_id="a", lease_until=100),
        a_run(run_id="b", lease_until=120),
        a_run(run_id="late", lease_until=50),
        a_run(run_id="other", holder="w2", lease_until=100),
        a_run(run_id="ended", lease_until=100),
        a_run_end(run_id="ended"),
    )
    await put(store, RenewLeases("w1", 300, 50))
    rows = [await one(store, GetRun(run)) for run in ("a", "b", "late", "other", "ended")]
    assert [row.lease_until for row in rows] == [300, 300, 50, 100, 0]


async def test_a_step_is_begun_failed_begun_again_and_completed(store: Store) -> None:
    """Attempts are counted; the error of an attempt goes with the next one."""
    seen = []
    for op in (
        a_run(),
        a_begin(),
        FailStep("r1", 1, "0", '{"message":"no"}', 3),
        a_begin(at=4),
        a_completion(at=5),
    ):
        await put(store, op)
        seen += [
            (step.status, step.attempts, step.error, step.result, step.completed_at)
            for step in await store.read(LoadSteps("r1"))
        ]
    assert seen == [
        ("running", 1, None, None, None),
        ("failed", 1, '{"message":"no"}', None, 3),
        ("running", 2, None, None, None),
        ("completed", 2, None, '"done"', 5),
    ]


async def test_a_note_stays_until_the_result_takes_its_place(store: Store) -> None:
    """Over attempts, but not from a former owner, and not once the step has ended."""
    seen = []
    for op in (
        a_run(),
        a_begin(),
        NoteStep("r1", 1, "0", '"half"'),
        NoteStep("r1", 2, "0", '"of another epoch"'),
        a_begin(at=4),
        a_completion(at=5),
        NoteStep("r1", 1, "0", '"late"'),
    ):
        await put(store, op)
        seen += [step.result for step in await store.read(LoadSteps("r1"))]
    assert seen == [None, '"half"', '"half"', '"half"', '"done"', '"done"']


async def test_a_completed_step_is_left_alone(store: Store) -> None:
    """Neither another begin nor another result touches a record."""
    await put(store, a_run(), a_begin(), a_completion())
    before = await store.read(LoadSteps("r1"))
    for op in (
        a_begin(),
        a_completion(result='"other"'),
        a_record(intent="call"),
        FailStep("r1", 1, "0", "{}", 9),
    ):
        assert await refusal(put(store, op)) is LeaseLost
    assert await store.read(LoadSteps("r1")) == before


async def test_a_failed_step_may_be_recorded_at_once(store: Store) -> None:
    """Its old error does not outlive the result."""
    await put(store, a_run(), a_begin(intent="now"), FailStep("r1", 1, "0", "{}", 3), a_record())
    (step,) = await store.read(LoadSteps("r1"))
    assert (step.status, step.attempts, step.result, step.error) == ("completed", 2, "7", None)


async def test_progress_tells_of_a_requested_stop(store: Store) -> None:
    """Completing and recording return it, so a wish costs no read."""
    await put(store, a_run(), a_begin())
    assert (await put(store, a_completion())).value(0) == 0
    await put(store, RequestCancel("r1", 4))
    await put(store, a_begin(path="1"))
    assert (await put(store, a_completion(path="1"))).value(0) == 1
    assert (await put(store, a_record(path="2"))).value(0) == 1


async def test_a_run_ends_with_its_result(store: Store) -> None:
    """The lease goes with it."""
    await put(store, a_run(), a_run_end(status="failed", result="null", error="why", at=7))
    row = await one(store, GetRun("r1"))
    assert (row.status, row.result, row.error, row.ended_at) == ("failed", "null", "why", 7)
    assert (row.holder, row.lease_until) == ("", 0)


async def test_the_first_to_emit_wins(store: Store) -> None:
    """Of thirty-two at once one gets a row, and its payload is the one that is kept."""
    await put(store, a_run())
    receipts = await asyncio.gather(
        *(put(store, EmitRunEvent("r1", "go", f"{n}", n)) for n in range(32))
    )
    winners = [n for n, receipt in enumerate(receipts) if receipt.rows[0]]
    assert len(winners) == 1
    assert (await one(store, GetRunEvent("r1", "go"))).payload == f"{winners[0]}"


async def test_a_run_nobody_opened_takes_nothing(store: Store) -> None:
    """It may have been forgotten by age since the caller looked."""
    for op in (
        EmitRunEvent("r1", "go", "1", 1),
        AwaitKey("r1", "go"),
        AppendStream("r1", 1, "", 1),
    ):
        assert await refusal(put(store, op)) is Conflict


async def test_live_output_is_read_after_a_cursor(store: Store) -> None:
    """A repeated piece is the same piece."""
    await put(store, a_run(), *(AppendStream("r1", n, f"{n}", n) for n in (1, 2, 3)))
    await put(store, AppendStream("r1", 2, "other", 9))
    assert await store.read(LoadStream("r1", 1, 1)) == [(2, "2", 2)]
    assert [piece.seq for piece in await store.read(LoadStream("r1", 1, 9))] == [2, 3]


async def test_abandoned_runs_are_those_whose_lease_is_over(store: Store) -> None:
    """Running ones only, in pages by id."""
    await put(
        store,
        *(
            a_run(run_id=run, lease_until=until)
            for run, until in zip("abcde", (9, 30, 10, 11, 5), strict=True)
        ),
        a_run_end(run_id="e"),
    )
    assert [run.run_id for run in await store.read(AbandonedRuns(10, "", 9))] == ["a", "c"]
    assert [run.run_id for run in await store.read(AbandonedRuns(10, "", 1))] == ["a"]
    assert [run.run_id for run in await store.read(AbandonedRuns(10, "a", 9))] == ["c"]


async def test_parked_runs_wake_for_a_timer_an_event_or_a_stop(store: Store) -> None:
    """Everything else sleeps on: later timers, other keys, other runs' events, running runs."""
    for run in ("event", "later", "other", "running", "stop", "timer"):
        await put(store, a_run(run_id=run))
    await put(
        store,
        AwaitKey("event", "go"),
        AwaitKey("event", "halt"),
        AwaitKey("other", "never"),
        AwaitKey("running", "go"),
        ParkRun("event", 1, "approval", None, 2),
        ParkRun("later", 1, "timer", 51, 2),
        ParkRun("other", 1, "approval", None, 2),
        ParkRun("stop", 1, "approval", None, 2),
        ParkRun("timer", 1, "timer", 50, 2),
    )
    assert [run.run_id for run in await store.read(WakeableRuns(49, "", 9))] == []
    await put(
        store,
        EmitRunEvent("event", "halt", "1", 3),
        EmitRunEvent("other", "go", "1", 3),
        EmitRunEvent("running", "go", "1", 3),
        RequestCancel("stop", 3),
    )
    woken = await store.read(WakeableRuns(50, "", 9))
    assert [run.run_id for run in woken] == ["event", "stop", "timer"]
    assert [run.run_id for run in await store.read(WakeableRuns(50, "event", 1))] == ["stop"]
    await put(store, TakeRun("event", "w2", 99, 50), ForgetKeys("event"))
    assert [run.run_id for run in await store.read(WakeableRuns(50, "", 1))] == ["stop"]


async def test_an_event_emitted_before_the_run_parks_wakes_it_too(store: Store) -> None:
    """No wake-up is lost between looking and parking."""
    await put(store, a_run(), EmitRunEvent("r1", "go", "1", 1))
    await put(store, AwaitKey("r1", "go"), ParkRun("r1", 1, "approval", None, 2))
    assert [run.run_id for run in await store.read(WakeableRuns(2, "", 9))] == ["r1"]


# Forks, imports and repetitions.


async def test_a_long_result_is_kept_apart_and_read_as_if_it_were_not(store: Store) -> None:
    """The row names the hash of the text; the text stays as long as a row names it."""
    await put(store, a_run(), a_begin(), PutBlob("aa", '"long"'), PutBlob("bb", '"idle"'))
    await put(store, a_completion(result="blob:aa"), a_run_end(result="blob:aa"))
    assert (await one(store, LoadSteps("r1"))).result == '"long"'
    assert (await one(store, GetRun("r1"))).result == '"long"'
    assert await store.read(GetBlob("bb")) == [('"idle"',)]
    assert (await put(store, PruneBlobs(10))).touched == [1]
    assert await store.read(GetBlob("bb")) == []
    assert (await one(store, GetRun("r1"))).result == '"long"'
    await put(store, PruneRuns(100, 10))
    assert (await put(store, PruneBlobs(10))).touched == [1]


async def test_what_runs_cost_adds_up_over_steps_and_over_their_root(store: Store) -> None:
    """By model; another root's runs are not counted."""
    await put(store, a_run(root="r1"), a_run(run_id="r2", root="r1"), a_run(run_id="r3"))
    await put(
        store,
        ChargeRun("r1", 1, "0", 1, "small", 1, 10, 2),
        ChargeRun("r1", 1, "0", 2, "small", 1, 10, 3),
        ChargeRun("r1", 1, "1", 1, "large", 1, 100, 20),
        ChargeRun("r2", 1, "0", 1, "small", 1, 1, 1),
        ChargeRun("r3", 1, "0", 1, "small", 1, 7, 7),
    )
    assert await store.read(RunCosts("r1")) == [("large", 1, 100, 20), ("small", 2, 20, 5)]
    assert await store.read(RootCosts("r1")) == [("large", 1, 100, 20), ("small", 3, 21, 6)]
    assert await store.read(RootCosts("")) == []
    ((session, tokens),) = await store.read(SpentSince(0))
    assert (session, tokens) == (a_run().session_key, 12 + 13 + 120 + 2 + 14)
    assert await store.read(SpentSince(10**15)) == []


async def test_a_reopened_run_is_due_at_once_and_its_former_owner_is_fenced(store: Store) -> None:
    """What ended it is forgotten; what it recorded is not, but for what is dropped."""
    await put(store, a_run(), a_begin(), a_completion(), a_record(path="1"), RequestCancel("r1", 2))
    await put(store, a_run_end(status="cancelled", error="run_cancelled"))
    assert await store.read(WakeableRuns(10, "", 9)) == []
    await put(store, ReopenRun("r1", 1, 10), DropStep("r1", "1"))
    (row,) = await store.read(WakeableRuns(10, "", 9))
    assert (row.status, row.epoch, row.error, row.ended_at) == ("suspended", 2, "", None)
    assert not row.cancel_requested
    assert (await one(store, LoadSteps("r1"))).path == "0"
    assert await refusal(put(store, a_record(path="2"))) is LeaseLost
    assert (await put(store, TakeRun("r1", "w2", 200, 100))).value(0) == 3


async def test_a_copied_run_keeps_what_it_was_made_from(store: Store) -> None:
    """Whole, parked until somebody wakes it, and taken like any other."""
    await put(store, a_copy(), a_copied_step(), EmitRunEvent("r1", "go", "1", 2))
    row = await one(store, GetRun("r1"))
    assert (row.origin, row.root, row.principal, row.tags) == ("r0", "r0", "ann", '{"of":"test"}')
    assert (await one(store, LoadSteps("r1"))).attempts == 2
    assert [event.key for event in await store.read(RunEvents("r1"))] == ["go"]
    assert await store.read(WakeableRuns(100, "", 9)) == []
    await put(store, AwaitKey("r1", "never"))
    assert await store.read(RunWaits("r1")) == [("never",)]
    assert (await put(store, TakeRun("r1", "w2", 200, 100))).value(0) == 2


async def test_who_runs_something_learns_what_others_asked_to_stop(store: Store) -> None:
    """Its own runs alone, while they run."""
    await put(store, a_run(), a_run(run_id="r2"), a_run(run_id="r3", holder="w2"))
    assert await store.read(RunsToStop("w1")) == []
    await put(store, *(RequestCancel(run, 2) for run in ("r1", "r2", "r3")))
    await put(store, a_run_end(run_id="r2"))
    assert [row.run_id for row in await store.read(RunsToStop("w1"))] == ["r1"]
