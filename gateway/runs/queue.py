"""The queue of runs of tasks: a few are executed concurrently, in the order they became due.

Nothing is lost here: what waits is in the store as parked and due, and is handed out again by the
next process. So stopping drops the line and leaves what runs to the engine.
"""

from __future__ import annotations

import structlog

from gateway.core.errors import NotFound, StoreUnavailable
from gateway.core.ids import RunId
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.engine import Engine
from gateway.runs.gate import Claim, Gate, GateRules, Party, Use
from gateway.telemetry.tasks import task_failed

AT_ONCE = 8
"""Runs of tasks executed side by side; parked ones hold no place, turns have their own."""

log = structlog.get_logger(__name__)


class RunQueue:
    """The line of one process. What is put before `start` waits for it."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._gate = Gate(GateRules(AT_ONCE))
        self._runs: dict[Claim, RunId] = {}  # bounded by what is due in the store
        self._owner = TaskOwner("tasks", task_failed)
        self._stopping = False

    def start(self, engine: Engine) -> None:
        """Execute what is put, and what was."""
        self._engine = engine
        self._admit()

    def put(self, run_id: RunId, *, alone: bool, principal: str = "") -> None:
        """Execute a run when there is a place; `alone`: with no other task's run beside it.

        Principals take turns; the runs of one are executed in order.
        """
        claim = Claim(Party(principal), alone=alone)
        self._runs[claim] = run_id
        self._gate.come(claim)
        self._admit()

    async def drained(self) -> None:
        """Wait until nothing is left that can be done now."""
        await self._owner.join()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        for claim in [claim for claim in self._runs if not claim.held]:
            self._gate.withdraw(claim)
            del self._runs[claim]

    def bounds(self) -> list[Use]:
        """How far the bound on runs of tasks is used."""
        return [self._gate.use("tasks")]

    def __len__(self) -> int:
        return self._gate.waiting

    def _admit(self) -> None:
        if self._engine is None or self._stopping:
            return
        for claim in self._gate.admit():
            work = self._execute(self._engine, claim)
            self._owner.start(self._runs[claim], work, ending=Ending.CANCELLABLE)

    async def _execute(self, engine: Engine, claim: Claim) -> None:
        run_id = self._runs[claim]
        try:
            await engine.execute(run_id)
        except (NotFound, StoreUnavailable) as error:
            log.warning("task.not_executed", run_id=run_id, reason=str(error))
        finally:
            del self._runs[claim]
            self._gate.leave(claim)
            self._admit()
