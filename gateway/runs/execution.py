"""One execution of a run in this process: its switches, its writes, how it is cut short.

Two switches end an execution early. `fenced`: the lease is over, nothing may be written or done any
more. `stop_requested`: a client wants the run to stop, which the task may still answer. Both are
looked at between steps; work in progress is cut short by cancelling the task, and that cancellation
is taken back where it arrives, so the caller of `Engine.execute` is never cancelled by us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from gateway.core.clock import Clock, settle
from gateway.core.errors import LeaseLost, RunCancelled, StoreUnavailable, TooManySteps
from gateway.core.ids import Chance, Ids, RunId, system_chance
from gateway.core.retrying import until_answered
from gateway.runs.canonical import Json
from gateway.runs.records import Records
from gateway.store.base.store import NewEvent, Receipt, Store, Unit

MAX_STEPS = 2000
"""Maximum number of steps of a run: a loop that never ends is found before it fills the disk."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Working(Protocol):
    """A place among those that use the processor, which an execution gives up while it waits."""

    def rest(self) -> bool:
        """Give the place up until `work`; whether there was one."""
        ...

    async def work(self) -> None:
        """Wait for a place again. Cancelled: without one."""
        ...


class Unbounded:
    """The place of an execution whose work nothing bounds."""

    def rest(self) -> bool:
        """Nothing is held."""
        return False

    async def work(self) -> None:
        """Nothing is waited for."""


UNBOUNDED = Unbounded()


@dataclass(slots=True, eq=False)
class Execution:
    """What the scopes of one execution share; the engine flips the switches."""

    run_id: RunId
    epoch: int
    store: Store
    clock: Clock
    ids: Ids
    task: asyncio.Task[object] | None = None
    working: Working = UNBOUNDED
    stop_requested: bool = False
    fenced: bool = False
    settled: bool = False
    """Ended or parked: there is no lease to give back."""
    root: RunId | None = None
    """The run that set it off in the end; None for itself."""
    chance: Chance = field(default_factory=system_chance)
    records: Records = field(default_factory=Records)
    emitted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with every event this process gives the run."""
    charges: dict[str, dict[str, tuple[int, int, int]]] = field(default_factory=dict)
    """What attempts under way have used, by path and model: calls, tokens in, tokens out."""
    notes: dict[str, Json] = field(default_factory=dict)
    """The last note of steps that were attempted here, by path."""
    told: dict[str, list[NewEvent]] = field(default_factory=dict)
    """What became true in attempts under way, by path."""
    positions: int = 0
    streamed: int = 0
    _working: int = 0
    _whole: bool = False
    _cut: bool = False

    def check(self) -> None:
        """Raise what ends the execution at this boundary: `LeaseLost` or `RunCancelled`."""
        self._check_lease()
        if self.stop_requested:
            raise RunCancelled(f"run {self.run_id} was asked to stop")

    def count_position(self) -> None:
        """One step more, recorded or not; raises `TooManySteps` past the bound."""
        self.positions += 1
        if self.positions > MAX_STEPS:
            raise TooManySteps(f"run {self.run_id} has more than {MAX_STEPS} steps")

    async def commit(self, unit: Unit) -> Receipt:
        """Write, and wait for a place to work on. A store that refuses is waited for, as long as
        the lease lasts.

        Raises `LeaseLost` and whatever else a guard of the unit says, without a place then.
        Cancelled: the unit holds or not, as the store says.
        """
        rested = self.working.rest()
        receipt = await self._written(unit)
        if rested:
            await self.working.work()
        return receipt

    async def _written(self, unit: Unit) -> Receipt:

        async def write() -> Receipt:
            self._check_lease()
            return await self.store.commit(unit)

        return await until_answered(write, self.clock, self._put_off)

    def _put_off(self, error: StoreUnavailable) -> None:
        log.warning("run.write_put_off", run_id=self.run_id, reason=str(error))

    async def take(self, unit: Unit) -> None:
        """The first write, which returns the epoch: not cut short, so that it can be given back."""
        self._whole = True
        rested = self.working.rest()
        try:
            receipt = await self.store.commit(unit)
            self.epoch = int(receipt.value(0))
        finally:
            self._whole = False
        self._check_lease()
        if rested:
            await self.working.work()

    async def settle(self, unit: Unit) -> None:
        """The last write: not cut short, since its outcome decides what comes next.

        Nothing is left to work on after it.
        """
        self._whole = True
        self.working.rest()
        try:
            await self._written(unit)
            self.settled = True
        finally:
            self._whole = False

    def interrupt(self) -> None:
        """Cut the work in progress short; once fenced, anything but the first and the last write.

        Otherwise nothing: the next boundary sees the switch.
        """
        if (self._working or self.fenced) and not (self._whole or self._cut):
            assert self.task is not None
            self._cut = True
            self.task.cancel()

    def take_back(self) -> bool:
        """Whether the cancellation that has arrived was `interrupt` alone; it is undone then."""
        task = asyncio.current_task()
        if not self._cut or task is None or task is not self.task:
            return False
        self._cut = False
        return task.uncancel() == 0

    async def interruptible(self, work: Awaitable[T]) -> T:
        """The result of `work`, which `interrupt` may cut short: then raises as `check` does.

        What work returns although it was cut short is its result: it is done. Cancelled by anybody
        else: so is the work.
        """
        self._working += 1
        try:
            value = await work
        except asyncio.CancelledError as error:
            if self.take_back():
                self.check()
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # Nobody cancelled us: something inside the work was, and let it through.
                raise RuntimeError("the work was cancelled from inside") from error
            raise
        except Exception:
            if await self._was_cut():
                self.check()
            raise
        finally:
            self._working -= 1
        await self._was_cut()
        return value

    async def _was_cut(self) -> bool:
        """Undo a cut that the work has survived, before it reaches the next await."""
        if not self._cut or asyncio.current_task() is not self.task:
            return False
        with suppress(asyncio.CancelledError):
            await settle(1)
        if not self.take_back():
            raise asyncio.CancelledError
        return True

    def _check_lease(self) -> None:
        if self.fenced:
            raise LeaseLost(f"run {self.run_id}: the lease is over; another worker may go on")
