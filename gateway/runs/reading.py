"""Looking at durable runs: lists, one run with what it cost, its steps, its live output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.errors import NotFound
from gateway.store.base.costs import CostRow, RootCosts, RunCosts
from gateway.store.base.runs import GetRun, ListRuns, LoadStream, RunRow, RunWaits, StreamRow
from gateway.store.base.steps import LoadSteps, StepRow
from gateway.store.base.store import Store

FIRST = "~"
"""Above every run id, which are letters, digits and underscores."""

Step = StepRow
"""What a run asked the world for, as it is recorded."""


class RunDetail(NamedTuple):
    """A run, the keys of events it waits for, what it used of each model, and what all runs used
    that were set off by the same one.
    """

    run: RunRow
    waits: list[str]
    costs: list[CostRow]
    root_costs: list[CostRow]


class Output(NamedTuple):
    """A run, and what it has said after some number."""

    run: RunRow
    pieces: list[StreamRow]


@dataclass(frozen=True, slots=True)
class RunReading:
    """See the module. Raises `NotFound` for a run that is not there."""

    store: Store

    async def one(self, run_id: str) -> RunRow:
        """A run as it stands."""
        for row in await self.store.read(GetRun(run_id)):
            return row
        raise NotFound(f"there is no run {run_id!r}")

    async def page(
        self, *, before: str = FIRST, status: str = "", task: str = "", limit: int
    ) -> list[RunRow]:
        """Runs below an id, newest first; `status` and `task` empty: any."""
        return await self.store.read(ListRuns(before, status, limit, task))

    async def detail(self, run_id: str) -> RunDetail:
        """A run with what it waits for and what it cost."""
        row = await self.one(run_id)
        return RunDetail(
            row,
            [wait.key for wait in await self.store.read(RunWaits(row.run_id))],
            await self.store.read(RunCosts(row.run_id)),
            await self.store.read(RootCosts(row.root)),
        )

    async def steps(self, run_id: str) -> list[StepRow]:
        """All steps of a run in the order in which they began."""
        row = await self.one(run_id)
        found = await self.store.read(LoadSteps(row.run_id))
        return sorted(found, key=lambda step: (step.started_at, _place(step.path)))

    async def output(self, run_id: str, *, after: int, limit: int) -> Output:
        """What a run says while it works, after a number."""
        # The run first: what it said before it ended is then among the pieces read after.
        row = await self.one(run_id)
        return Output(row, await self.store.read(LoadStream(run_id, after, limit)))


def _place(path: str) -> list[tuple[bool, int, str]]:
    """`10` comes behind `2`."""
    return [
        (not piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece)
        for piece in path.split(".")
    ]
