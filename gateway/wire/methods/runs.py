"""Shapes of the methods about durable runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gateway.wire.methods.base import (
    Milliseconds,
    Name,
    Page,
    PageResult,
    Params,
    Result,
)

Status = Literal["running", "suspended", "completed", "failed", "cancelled", "quarantined"]


class OneRun(Params):
    """Which run; a turn's run has the turn's id."""

    run_id: Name


class ListRuns(Page):
    """Runs of any status, or of one."""

    status: Status | None = None
    task: str = Field("", max_length=512, description="Of this task only.")


class RunInfo(Result):
    """A run in a list."""

    run_id: str
    task: str
    session_key: str
    status: Status
    epoch: int
    recoveries: int
    cancel_requested: bool
    reason: str = Field(description="What it waits for, or why it was given back.")
    wake_at: Milliseconds | None
    created_at: Milliseconds
    updated_at: Milliseconds
    ended_at: Milliseconds | None
    error: str
    principal: str = Field(description="Who started it; empty for turns.")
    root: str = Field(description="The run that set it off in the end, mostly itself.")
    origin: str = Field(description="The run it was forked from.")
    tags: dict[str, str]
    outcome: Any = Field(description="How good it was, in the task's own words.")


class Cost(Result):
    """What was used of one model."""

    model: str
    calls: int
    tokens_in: int
    tokens_out: int


class RunPage(PageResult):
    """Runs, newest first."""

    runs: list[RunInfo]


class RunDetail(RunInfo):
    """A run with what it was given and what came out; what is longer than 256 KiB is left out."""

    input: Any
    input_bytes: int
    result: Any
    result_bytes: int
    holder: str
    lease_until: Milliseconds
    waits: list[str] = Field(description="Keys of events a parked run waits for.")
    costs: list[Cost] = Field(description="What its own steps used of models.")
    root_costs: list[Cost] = Field(description="The same of everything its root set off.")


class Steps(Page, OneRun):
    """Which run, and from where."""


class StepInfo(Result):
    """A recorded effect. A long `result` is left out and its length given."""

    path: str
    intent: str
    kind: str
    effect: str
    status: Literal["running", "completed", "failed"]
    attempts: int
    started_at: Milliseconds
    completed_at: Milliseconds | None
    result: Any = None
    result_bytes: int
    error: str | None


class StepPage(PageResult):
    """Steps in the order in which they began."""

    steps: list[StepInfo]


class RunCancelling(Result):
    """It was asked to stop."""

    run_id: str
