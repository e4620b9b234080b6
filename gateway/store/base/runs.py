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


class NoteStep(NamedTuple):
    """Keep word of a step's work under way (JSON text), until its result takes the place."""

    run_id: str
    epoch: int
    path: str
    note: str


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


class PutBlob(NamedTuple):
    """Keep a result that is too long for its row, under the hash of its text.

    A step or a run then has `blob:<hash>` as its result; reads give the text all the same.
    """

    hash: str
    body: str


class ChargeRun(NamedTuple):
    """Note what one attempt of a step used of a model: calls, and tokens in and out."""

    run_id: str
    epoch: int
    path: str
    attempt: int
    model: str
    calls: int
    tokens_in: int
    tokens_out: int


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


class PutStep(NamedTuple):
    """A step of such a run."""

    run_id: str
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


class ReopenRun(NamedTuple):
    """A run without a worker is parked and due now, with the next epoch and no interruptions.

    Refused `Conflict` when it runs, or is another epoch's by now.
    """

    run_id: str
    epoch: int
    at: int


class DropStep(NamedTuple):
    """Forget a step of a run without a worker; the next execution does it again."""

    run_id: str
    path: str


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
    principal: str = ""
    root: str = ""
    tags: str = "{}"
    outcome: str = "null"
    origin: str = ""


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


class WaitRow(NamedTuple):
    key: str


class CostRow(NamedTuple):
    model: str
    calls: int
    tokens_in: int
    tokens_out: int


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


@dataclass(frozen=True, slots=True)
class RunCosts(Query[CostRow]):
    """What one run used, by model."""

    run_id: str


class BlobRow(NamedTuple):
    body: str


@dataclass(frozen=True, slots=True)
class GetBlob(Query[BlobRow]):
    """A text by its hash, for what is longer than a frame."""

    hash: str


class SpentRow(NamedTuple):
    session_key: str
    tokens: int


@dataclass(frozen=True, slots=True)
class SpentSince(Query[SpentRow]):
    """Tokens used by runs begun since then, by conversation."""

    since: int


@dataclass(frozen=True, slots=True)
class RootCosts(Query[CostRow]):
    """What everything used that one run set off, itself included, by model."""

    root: str
