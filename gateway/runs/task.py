"""What the engine runs: a durable task, its manifest, and how it may end.

A task is an ordinary async function over a `RunContext`. It is executed from the top after every
interruption; steps that are recorded return their record. `Finish` lets its end carry other writes,
so that what a run leads to becomes durable with its end or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.core.errors import RunCancelled, RunQuarantined, TurngateError
from gateway.core.ids import RunId
from gateway.runs.canonical import Json, fingerprint
from gateway.runs.context import RunContext
from gateway.store.base.catalog import Op
from gateway.store.base.runs import RunRow
from gateway.store.base.store import NewEvent

Status = Literal["completed", "failed", "cancelled", "quarantined"]
"""How a run may end."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run is about; the same run id with another manifest is refused.

    `tags` are for people and are no part of its identity.
    """

    task: str
    input: Json
    tags: tuple[tuple[str, str], ...] = ()

    def hash(self) -> str:
        """Identity of the manifest, stable across releases."""
        return fingerprint({"input": self.input, "task": self.task})


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a run, written in one critical unit with `ops` and `events`.

    `outcome` says how good it was, in whatever words the task likes; it decides nothing.
    `after` is called on the loop once that unit holds; it wakes whoever acts on it next.
    """

    status: Status
    result: Json = None
    error: str = ""
    ops: tuple[Op, ...] = ()
    events: tuple[NewEvent, ...] = ()
    after: Callable[[], None] | None = None
    outcome: Json = None


@dataclass(frozen=True, slots=True)
class Pause:
    """What is written together with parking a run."""

    ops: tuple[Op, ...] = ()
    events: tuple[NewEvent, ...] = ()


class Performer(Protocol):
    """What one execution calls: a task, or a task with what its caller has at hand for this run."""

    async def run(self, context: RunContext) -> Finish:
        """Execute, or go on executing. Any exception but control flow reaches `abandon`."""
        ...

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        """How a run ends that cannot go on: it raised, diverged, or was quarantined."""
        ...

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        """What else becomes true when the run is parked."""
        ...


class DurableTask(Performer, Protocol):
    """One kind of run."""

    @property
    def name(self) -> str: ...

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        """Arrange for `Engine.execute`; `alone`: with nothing else running, it may be poisonous."""
        ...


def status_of(error: TurngateError) -> Status:
    """How a run ends that raised this."""
    if isinstance(error, RunQuarantined):
        return "quarantined"
    return "cancelled" if isinstance(error, RunCancelled) else "failed"
