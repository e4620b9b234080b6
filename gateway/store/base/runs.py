"""Writes and reads of durable runs. Every write of a running run is fenced by its epoch.

A run is `running` (somebody holds its lease), `suspended` (parked, nobody does), or has ended as
`completed`, `failed`, `cancelled` or `quarantined`. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class OpenRun(NamedTuple):
    """Create a run with its lease, epoch 1; refused `Conflict` when the id exists."""

    run_id: str
    task: str
    manifest_hash: str
    session_key: str
    input: str
    holder: str
    lease_until: int
    at: int


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


class BeginStep(NamedTuple):
    """Note that a step's work starts; a second begin counts another attempt."""

    run_id: str
    epoch: int
    path: str
    intent: str
    kind: str
    effect: str
    fingerprint: str
    at: int


class CompleteStep(NamedTuple):
    """Record a begun step's result (JSON text). Returns whether a stop was requested."""

    run_id: str
    epoch: int
    path: str
    result: str
    at: int


class RecordStep(NamedTuple):
    """Begin and complete at once: for steps that take no time (clock, ids, a snapshot)."""

    run_id: str
    epoch: int
    path: str
    intent: str
    kind: str
    fingerprint: str
    result: str
    at: int


class FailStep(NamedTuple):
    """Record a begun step's failure; it is executed again on the next attempt of the run."""

    run_id: str
    epoch: int
    path: str
    error: str
    at: int


class EndRun(NamedTuple):
    """Give the run its one end."""

    run_id: str
    epoch: int
    status: str
    result: str
    error: str
    at: int


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


class RenewLeases(NamedTuple):
    """Extend every live lease of one worker."""

    holder: str
    lease_until: int
    now: int


class RunRow(NamedTuple):
    run_id: str
    task: str
    manifest_hash: str
    session_key: str
    input: str
    status: str
    epoch: int
    holder: str
    lease_until: int
    recoveries: int
    recovered_steps: int
    cancel_requested: int
    reason: str
    wake_at: int | None
    created_at: int
    updated_at: int
    ended_at: int | None
    result: str
    error: str


class StepRow(NamedTuple):
    path: str
    intent: str
    kind: str
    effect: str
    fingerprint: str
    status: str
    attempts: int
    result: str | None
    error: str | None
    started_at: int
    completed_at: int | None


class RunEventRow(NamedTuple):
    key: str
    payload: str
    emitted_at: int


class StreamRow(NamedTuple):
    seq: int
    body: str
    at: int


@dataclass(frozen=True, slots=True)
class GetRun(Query[RunRow]):
    run_id: str


@dataclass(frozen=True, slots=True)
class LoadSteps(Query[StepRow]):
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
    """By id downwards, below a given one, which is newest first; `status` empty means any."""

    before: str
    status: str
    limit: int
