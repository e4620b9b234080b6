"""Writes and reads of durable runs. Every write of a running run is fenced by its epoch.

A run is `running` (a worker holds its lease), `suspended` (parked, none does), or has ended as
`completed`, `failed`, `cancelled` or `quarantined`. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class OpenRun(NamedTuple):
    """Create a run with its lease, epoch 1; refused `Conflict` when the id exists.

    `principal` owns it, `root` names the run that set it off in the end, `tags` is JSON text.
    """

    run_id: str
    task: str
    manifest_hash: str
    session_key: str
    input: str
    holder: str
    lease_until: int
    at: int
    principal: str = ""
    root: str = ""
    tags: str = "{}"


class TakeRun(NamedTuple):
    """Take a running run whose lease is over, or a suspended one, with the next epoch.

    Refused `LeaseHeld` when another's lease is live or the run has ended. Returns the epoch.
    """

    run_id: str
    holder: str
    lease_until: int
    now: int


class CountRecovery(NamedTuple):
    """Note how often the run was taken over since it last completed a step."""

    run_id: str
    epoch: int
    recoveries: int
    steps: int


class EndRun(NamedTuple):
    """Give the run its one end; `outcome` (JSON text) says how good it was, for people."""

    run_id: str
    epoch: int
    status: str
    result: str
    error: str
    at: int
    outcome: str = "null"


class ReleaseRun(NamedTuple):
    """Give the lease back while the run is unfinished; `reason` says why."""

    run_id: str
    epoch: int
    reason: str
    at: int


class ParkRun(NamedTuple):
    """Give up task and lease until `wake_at` or until an awaited event comes."""

    run_id: str
    epoch: int
    reason: str
    wake_at: int | None
    at: int


class AwaitKey(NamedTuple):
    """Name an event a run waits for."""

    run_id: str
    key: str


class ForgetKeys(NamedTuple):
    """The run waits for nothing any more."""

    run_id: str


class RequestCancel(NamedTuple):
    """Ask a run to stop; refused `RunTerminal` when it has ended."""

    run_id: str
    at: int


class EmitRunEvent(NamedTuple):
    """The first to emit a key wins; returns a row only to the winner."""

    run_id: str
    key: str
    payload: str
    at: int


class AppendStream(NamedTuple):
    """Add a piece of a run's live output."""

    run_id: str
    seq: int
    body: str
    at: int


class PutRun(NamedTuple):
    """A run from elsewhere, as it is: a fork or an import; refused `Conflict` when the id exists.

    It has no owner, so it is parked or has ended.
    """

    run_id: str
    task: str
    manifest_hash: str
    session_key: str
    input: str
    status: str
    reason: str
    wake_at: int | None
    created_at: int
    updated_at: int
    ended_at: int | None
    result: str
    error: str
    principal: str
    root: str
    tags: str
    outcome: str
    origin: str


class ReopenRun(NamedTuple):
    """A run without a worker is parked and due now, with the next epoch and no interruptions.

    Refused `Conflict` when it runs, or is another epoch's by now.
    """

    run_id: str
    epoch: int
    at: int


class DropRunEvent(NamedTuple):
    """Forget an event of a run without a worker; it may be given again."""

    run_id: str
    key: str


class RenewLeases(NamedTuple):
    """Extend every live lease of one worker."""

    holder: str
    lease_until: int
    now: int


class RunRow(NamedTuple):
    """One run as stored; what is JSON is text."""

    run_id: str
    """A turn's run has the id of the turn."""
    task: str
    """The registered task that executes it."""
    manifest_hash: str
    """Identity of what it is about: the same id with another hash is refused."""
    session_key: str
    """The session of a turn; empty for other tasks."""
    input: str
    """JSON: what the task was given."""
    status: str
    """`running`, `suspended`, or how it ended."""
    epoch: int
    """Number of the present lease: a write under an older one is refused."""
    holder: str
    """The worker that has, or last had, the lease."""
    lease_until: int
    recoveries: int
    """Interruptions since it last completed a step."""
    recovered_steps: int
    """Completed steps when that was last counted."""
    cancel_requested: int
    """1 once a client asked it to stop."""
    reason: str
    """Why it is parked, or why its lease was given back."""
    wake_at: int | None
    """When a parked run is due; None: only an event wakes it."""
    created_at: int
    updated_at: int
    ended_at: int | None
    """None until it has ended."""
    result: str
    """JSON; `blob:<hash>` where it is kept apart."""
    error: str
    """Stable word of the failure that ended it; empty without one."""
    principal: str = ""
    """Who owns it."""
    root: str = ""
    """The run that set it off in the end; its costs count there."""
    tags: str = "{}"
    """JSON: labels for people."""
    outcome: str = "null"
    """JSON: how good the end was, in the task's words."""
    origin: str = ""
    """Where a fork or an import came from."""


class RunEventRow(NamedTuple):
    key: str
    payload: str
    emitted_at: int


class WaitRow(NamedTuple):
    key: str


class StreamRow(NamedTuple):
    seq: int
    body: str
    at: int


@dataclass(frozen=True, slots=True)
class GetRun(Query[RunRow]):
    run_id: str


@dataclass(frozen=True, slots=True)
class GetRunEvent(Query[RunEventRow]):
    run_id: str
    key: str


@dataclass(frozen=True, slots=True)
class LoadStream(Query[StreamRow]):
    """A run's output strictly after a cursor."""

    run_id: str
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class AbandonedRuns(Query[RunRow]):
    """Running runs whose lease is over, by id after a given one."""

    now: int
    after: str
    limit: int


class RunToStop(NamedTuple):
    run_id: str


@dataclass(frozen=True, slots=True)
class RunsToStop(Query[RunToStop]):
    """Running runs of a worker that somebody, perhaps in another process, asked to stop."""

    holder: str


@dataclass(frozen=True, slots=True)
class WakeableRuns(Query[RunRow]):
    """Suspended runs whose timer is due, whose awaited event has come, or that shall stop;

    by id after a given one.
    """

    now: int
    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class ListRuns(Query[RunRow]):
    """By id downwards, below a given one, which is newest first; `status` and `task` may be empty.

    A list has neither what its runs were given nor what came out.
    """

    before: str
    status: str
    limit: int
    task: str = ""


@dataclass(frozen=True, slots=True)
class RunWaits(Query[WaitRow]):
    """What a parked run waits for."""

    run_id: str


@dataclass(frozen=True, slots=True)
class RunEvents(Query[RunEventRow]):
    """All that was emitted to a run, by key."""

    run_id: str
