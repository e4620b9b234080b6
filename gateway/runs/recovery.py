"""Whether an interrupted run goes on: the pure part of recovery.

A run that takes its process down each time would do so without end. Interruptions are counted while
the run makes no progress; a drain is no interruption.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.store.base.runs import RunRow

ALONE_AT = 3
"""Interruptions without progress after which a run is executed with nothing beside it."""
QUARANTINE_AT = 4
"""Interruptions without progress after which it is not executed again."""
DRAINED = "drained"
"""Reason on a run whose process stopped in order."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What to do with an interrupted run."""

    recoveries: int
    completed_steps: int
    alone: bool
    quarantine: bool


def recover(run: RunRow, completed_steps: int) -> Recovery:
    """Decide from the run's record and the number of its completed steps."""
    if completed_steps > run.recovered_steps:
        recoveries = 0
    elif run.reason == DRAINED:
        recoveries = run.recoveries
    else:
        recoveries = run.recoveries + 1
    return Recovery(
        recoveries,
        completed_steps,
        alone=recoveries == ALONE_AT,
        quarantine=recoveries >= QUARANTINE_AT,
    )


def may_be_alone(run: RunRow) -> bool:
    """Whether `recover` could say so: spares counting the steps of all others."""
    return run.recoveries >= ALONE_AT - 1
