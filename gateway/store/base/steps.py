"""Writes and reads of the steps of durable runs, fenced by the epoch of their run.

A step is `running`, `completed` or `failed`; its path is unique in its run. Times are milliseconds
since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


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


class PutBlob(NamedTuple):
    """Keep a result that is too long for its row, under the hash of its text.

    A step or a run then has `blob:<hash>` as its result; reads give the text all the same.
    """

    hash: str
    body: str


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


class DropStep(NamedTuple):
    """Forget a step of a run without a worker; the next execution does it again."""

    run_id: str
    path: str


class StepRow(NamedTuple):
    """One step as stored; what is JSON is text."""

    path: str
    """Its place in the run: a position, behind the names of the branches it is in."""
    intent: str
    """What was asked for there, such as `model:0`; a replay must ask for the same."""
    kind: str
    """What it was, for people: `llm`, `tool`, `event`, `deterministic`, `logic`."""
    effect: str
    """What may be repeated after a crash; see `agents.base.tools.Effect`."""
    fingerprint: str
    """Of the input; empty without one."""
    status: str
    attempts: int
    """How often its work was begun."""
    result: str | None
    """JSON once completed; before, the last note of the work under way."""
    error: str | None
    """JSON: kind and message of the last failed attempt."""
    started_at: int
    completed_at: int | None


@dataclass(frozen=True, slots=True)
class LoadSteps(Query[StepRow]):
    run_id: str


class BlobRow(NamedTuple):
    body: str


@dataclass(frozen=True, slots=True)
class GetBlob(Query[BlobRow]):
    """A text by its hash, for what is longer than a frame."""

    hash: str
