"""How often a run may be interrupted before it is let go of."""

from typing import Any

import pytest

from gateway.runs.recovery import ALONE_AT, DRAINED, QUARANTINE_AT, may_be_alone, recover
from gateway.store.base.runs import RunRow


def a_run(**changes: Any) -> RunRow:
    row = RunRow(
        run_id="r1",
        task="script",
        manifest_hash="",
        session_key="",
        input="null",
        status="running",
        epoch=1,
        holder="",
        lease_until=0,
        recoveries=0,
        recovered_steps=0,
        cancel_requested=0,
        reason="",
        wake_at=None,
        created_at=1,
        updated_at=1,
        ended_at=None,
        result="null",
        error="",
    )
    return row._replace(**changes)


def test_interruptions_without_progress_add_up_to_a_quarantine() -> None:
    """The third is executed alone, the fourth not at all."""
    row, seen = a_run(), []
    for _ in range(4):
        decided = recover(row, 0)
        row = row._replace(recoveries=decided.recoveries, recovered_steps=decided.completed_steps)
        seen.append((decided.recoveries, decided.alone, decided.quarantine))
    assert seen == [(1, False, False), (2, False, False), (3, True, False), (4, False, True)]
    assert (ALONE_AT, QUARANTINE_AT) == (3, 4)


@pytest.mark.parametrize("reason", ["", DRAINED])
def test_one_more_completed_step_clears_the_count(reason: str) -> None:
    """A long run may be interrupted often; it gets on."""
    decided = recover(a_run(recoveries=3, recovered_steps=4, reason=reason), 5)
    assert (decided.recoveries, decided.completed_steps) == (0, 5)
    assert not decided.alone
    assert not decided.quarantine


def test_a_drain_counts_for_nothing() -> None:
    """The process stopped in order: the run had no part in it."""
    assert recover(a_run(recoveries=2, reason=DRAINED), 0).recoveries == 2


@pytest.mark.parametrize("recoveries", range(5))
@pytest.mark.parametrize("reason", ["", DRAINED])
@pytest.mark.parametrize("steps", [0, 1])
def test_whoever_is_alone_was_suspected_before(recoveries: int, reason: str, steps: int) -> None:
    """The steps of all others need not be counted."""
    row = a_run(recoveries=recoveries, reason=reason)
    assert may_be_alone(row) or not recover(row, steps).alone
