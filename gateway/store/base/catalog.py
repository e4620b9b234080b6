"""Every write the store knows, with the guard each carries: one line an operation.

The statement an adapter runs has the class's name in snake case (`complete_step`) and takes the
fields as parameters. Adding an operation: the class in its family's file, a line here, a statement
in each adapter's `.sql` file of that family.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core.errors import (
    Busy,
    Conflict,
    Duplicate,
    LeaseHeld,
    LeaseLost,
    NotFound,
    RunTerminal,
    TurngateError,
)
from gateway.store.base import (
    agents,
    bindings,
    conversations,
    costs,
    credentials,
    inputs,
    outbox,
    profiles,
    retention,
    runs,
    steps,
)

Op = (
    conversations.PutContent
    | conversations.TouchSession
    | conversations.AppendEntry
    | conversations.SetLabel
    | conversations.ExpectIdle
    | conversations.ClearTranscript
    | conversations.CutTranscript
    | conversations.MoveEntries
    | conversations.MoveContents
    | conversations.MoveInputs
    | conversations.BlankSession
    | conversations.DropRuns
    | conversations.DropSession
    | inputs.AcceptInput
    | inputs.RememberKey
    | inputs.StartInput
    | inputs.MergeInput
    | inputs.PauseInput
    | inputs.ResumeInput
    | inputs.EndInput
    | inputs.EndQueued
    | runs.OpenRun
    | runs.TakeRun
    | runs.CountRecovery
    | steps.BeginStep
    | steps.NoteStep
    | steps.CompleteStep
    | steps.RecordStep
    | steps.FailStep
    | runs.EndRun
    | runs.ReleaseRun
    | runs.ParkRun
    | runs.AwaitKey
    | runs.ForgetKeys
    | runs.RequestCancel
    | runs.EmitRunEvent
    | runs.AppendStream
    | steps.PutBlob
    | costs.ChargeRun
    | runs.PutRun
    | steps.PutStep
    | runs.ReopenRun
    | steps.DropStep
    | runs.DropRunEvent
    | runs.RenewLeases
    | outbox.EnqueueDelivery
    | outbox.BeginSend
    | outbox.RetrySend
    | outbox.TakeSend
    | outbox.EndSend
    | outbox.MarkPulled
    | outbox.RetryDelivery
    | outbox.PurgeDelivery
    | outbox.PurgeFailed
    | bindings.PutBinding
    | bindings.RemoveBinding
    | agents.PutAgent
    | agents.RemoveAgent
    | profiles.PutStanding
    | credentials.PutCredential
    | credentials.RevokeCredential
    | retention.PruneEvents
    | retention.RaiseLogFloor
    | retention.PruneRuns
    | retention.PruneStream
    | retention.PruneKeys
    | retention.PruneDeliveries
    | retention.PruneInputs
    | retention.PruneContent
    | retention.PruneBlobs
)


@dataclass(frozen=True, slots=True)
class Guard:
    """What has to hold for an operation.

    `refused`: the error when it touches no row (None: that is fine). `duplicate`: the error when a
    unique key exists already. `returns`: the statement gives rows back.
    """

    refused: type[TurngateError] | None = None
    duplicate: type[TurngateError] = Conflict
    returns: bool = False


GUARDS: dict[type[Op], Guard] = {
    conversations.PutContent: Guard(),
    conversations.TouchSession: Guard(),
    conversations.AppendEntry: Guard(duplicate=Conflict),
    conversations.SetLabel: Guard(refused=NotFound),
    conversations.ExpectIdle: Guard(refused=Conflict),
    conversations.ClearTranscript: Guard(),
    conversations.CutTranscript: Guard(refused=Conflict),
    conversations.MoveEntries: Guard(duplicate=Conflict),
    conversations.MoveContents: Guard(),
    conversations.MoveInputs: Guard(),
    conversations.BlankSession: Guard(),
    conversations.DropRuns: Guard(),
    conversations.DropSession: Guard(refused=NotFound),
    inputs.AcceptInput: Guard(refused=Busy, duplicate=Duplicate, returns=True),
    inputs.RememberKey: Guard(duplicate=Duplicate),
    inputs.StartInput: Guard(refused=Conflict),
    inputs.MergeInput: Guard(refused=Conflict),
    inputs.PauseInput: Guard(refused=Conflict),
    inputs.ResumeInput: Guard(refused=Conflict),
    inputs.EndInput: Guard(refused=Conflict),
    inputs.EndQueued: Guard(refused=Conflict),
    runs.OpenRun: Guard(duplicate=Conflict),
    runs.TakeRun: Guard(refused=LeaseHeld, returns=True),
    runs.CountRecovery: Guard(refused=LeaseLost),
    steps.BeginStep: Guard(refused=LeaseLost),
    steps.NoteStep: Guard(),
    steps.CompleteStep: Guard(refused=LeaseLost, returns=True),
    steps.RecordStep: Guard(refused=LeaseLost, duplicate=LeaseLost, returns=True),
    steps.FailStep: Guard(refused=LeaseLost),
    runs.EndRun: Guard(refused=LeaseLost),
    runs.ReleaseRun: Guard(refused=LeaseLost),
    runs.ParkRun: Guard(refused=LeaseLost),
    runs.AwaitKey: Guard(),
    runs.ForgetKeys: Guard(),
    runs.RequestCancel: Guard(refused=RunTerminal),
    runs.EmitRunEvent: Guard(returns=True),
    runs.AppendStream: Guard(),
    steps.PutBlob: Guard(),
    costs.ChargeRun: Guard(),
    runs.PutRun: Guard(),
    steps.PutStep: Guard(),
    runs.ReopenRun: Guard(refused=Conflict),
    steps.DropStep: Guard(refused=Conflict),
    runs.DropRunEvent: Guard(refused=Conflict),
    runs.RenewLeases: Guard(),
    outbox.EnqueueDelivery: Guard(duplicate=Duplicate, returns=True),
    outbox.BeginSend: Guard(refused=Conflict),
    outbox.RetrySend: Guard(refused=Conflict),
    outbox.TakeSend: Guard(refused=Conflict),
    outbox.EndSend: Guard(refused=Conflict),
    outbox.MarkPulled: Guard(),
    outbox.RetryDelivery: Guard(refused=Conflict),
    outbox.PurgeDelivery: Guard(refused=Conflict),
    outbox.PurgeFailed: Guard(),
    bindings.PutBinding: Guard(),
    bindings.RemoveBinding: Guard(refused=NotFound),
    agents.PutAgent: Guard(),
    agents.RemoveAgent: Guard(refused=NotFound),
    profiles.PutStanding: Guard(),
    credentials.PutCredential: Guard(),
    credentials.RevokeCredential: Guard(refused=NotFound),
    retention.PruneEvents: Guard(),
    retention.RaiseLogFloor: Guard(),
    retention.PruneRuns: Guard(),
    retention.PruneStream: Guard(),
    retention.PruneKeys: Guard(),
    retention.PruneDeliveries: Guard(),
    retention.PruneInputs: Guard(),
    retention.PruneContent: Guard(),
    retention.PruneBlobs: Guard(),
}


def statement_name(cls: type) -> str:
    """`CompleteStep` → `complete_step`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
