"""Operations with everything filled in, and what each guard accepts and refuses.

A test names only the fields it is about: `an_input(turn_id="t2")`.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
from gateway.store.base.agents import PutAgent, RemoveAgent
from gateway.store.base.bindings import ListBindings, PutBinding, RemoveBinding
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import (
    AppendEntry,
    BlankSession,
    ClearTranscript,
    CutTranscript,
    DropRuns,
    DropSession,
    ExpectIdle,
    ListSessions,
    LoadTranscript,
    MoveContents,
    MoveEntries,
    MoveInputs,
    PutContent,
    SetLabel,
    TouchSession,
)
from gateway.store.base.costs import ChargeRun, RunCosts
from gateway.store.base.credentials import PutCredential, RevokeCredential
from gateway.store.base.events import GetLogBounds, ReadEvents
from gateway.store.base.inputs import (
    AcceptInput,
    EndInput,
    EndQueued,
    FindKey,
    GetInput,
    MergeInput,
    PauseInput,
    RememberKey,
    ResumeInput,
    StartInput,
)
from gateway.store.base.outbox import (
    BeginSend,
    DeliveriesOfTurn,
    EndSend,
    EnqueueDelivery,
    MarkPulled,
    PurgeDelivery,
    PurgeFailed,
    RetryDelivery,
    RetrySend,
    TakeSend,
)
from gateway.store.base.profiles import PutStanding
from gateway.store.base.query import Query
from gateway.store.base.retention import (
    PruneBlobs,
    PruneContent,
    PruneDeliveries,
    PruneEvents,
    PruneInputs,
    PruneKeys,
    PruneRuns,
    PruneStream,
    RaiseLogFloor,
)
from gateway.store.base.runs import (
    AppendStream,
    AwaitKey,
    CountRecovery,
    DropRunEvent,
    EmitRunEvent,
    EndRun,
    ForgetKeys,
    GetRun,
    GetRunEvent,
    LoadStream,
    OpenRun,
    ParkRun,
    PutRun,
    ReleaseRun,
    RenewLeases,
    ReopenRun,
    RequestCancel,
    RunEvents,
    TakeRun,
)
from gateway.store.base.steps import (
    BeginStep,
    CompleteStep,
    DropStep,
    FailStep,
    LoadSteps,
    NoteStep,
    PutBlob,
    PutStep,
    RecordStep,
)
from gateway.store.base.store import NewEvent, Receipt, Store, Unit

SESSION = "agent:main:main"
_T = TypeVar("_T")

_O = TypeVar("_O", bound=tuple[Any, ...])


def _with(op: _O, changes: dict[str, object]) -> _O:
    changed: _O = op._replace(**changes)  # type: ignore[attr-defined]  # every operation is a named tuple
    return changed


def a_content(**changes: object) -> PutContent:
    return _with(PutContent("c1", SESSION, '"words"'), changes)


def a_session(**changes: object) -> TouchSession:
    return _with(TouchSession(SESSION, "main", "ann", 1), changes)


def an_entry(**changes: object) -> AppendEntry:
    return _with(AppendEntry(SESSION, 0, "t1", "c1", 1), changes)


def an_input(**changes: object) -> AcceptInput:
    op = AcceptInput(
        turn_id="t1",
        session_key=SESSION,
        agent_id="main",
        channel="web",
        account="default",
        external_id="",
        principal="ann",
        route_key="web:default::::ann",
        agent_override="",
        source="person",
        barrier=False,
        destination="web:default:ann:",
        content_id="c1",
        explanation="{}",
        at=1,
        expires_at=1000,
        mailbox=20,
    )
    return _with(op, changes)


def a_key(**changes: object) -> RememberKey:
    return _with(RememberKey("ann", "send", "k1", "hash", "t1", 1), changes)


def a_run(**changes: object) -> OpenRun:
    return _with(OpenRun("r1", "turn", "hash", SESSION, "{}", "w1", 100, 1), changes)


def a_copy(**changes: object) -> PutRun:
    op = PutRun(
        run_id="r1",
        task="report",
        manifest_hash="hash",
        session_key="",
        input="{}",
        status="suspended",
        reason="imported",
        wake_at=None,
        created_at=1,
        updated_at=2,
        ended_at=None,
        result="null",
        error="",
        principal="ann",
        root="r0",
        tags='{"of":"test"}',
        outcome="null",
        origin="r0",
    )
    return _with(op, changes)


def a_copied_step(**changes: object) -> PutStep:
    op = PutStep("r1", "0", "call", "llm", "pure", "", "completed", 2, '"done"', None, 2, 3)
    return _with(op, changes)


def a_begin(**changes: object) -> BeginStep:
    return _with(BeginStep("r1", 1, "0", "call", "llm", "pure", "", 2), changes)


def a_completion(**changes: object) -> CompleteStep:
    return _with(CompleteStep("r1", 1, "0", '"done"', 3), changes)


def a_record(**changes: object) -> RecordStep:
    return _with(RecordStep("r1", 1, "0", "now", "deterministic", "", "7", 2), changes)


def a_run_end(**changes: object) -> EndRun:
    return _with(EndRun("r1", 1, "completed", '"bye"', "", 9), changes)


def a_delivery(**changes: object) -> EnqueueDelivery:
    op = EnqueueDelivery(
        delivery_id="d1",
        key="t1:0",
        destination="web:default:ann:",
        session_key=SESSION,
        turn_id="t1",
        part=0,
        parts=1,
        content_id="c1",
        at=1,
        expires_at=1000,
    )
    return _with(op, changes)


@dataclass(frozen=True)
class Case:
    """`accepted` holds after `given`; then each of `refused` fails with its error.

    Without `refused` the operation takes no offence at anything: the second time is harmless.
    """

    accepted: Op
    given: tuple[Op, ...] = ()
    refused: tuple[tuple[Op, type[TurngateError]], ...] = field(default=())


_BEGUN = (a_run(), a_begin())

CASES: dict[type[Op], Case] = {
    PutContent: Case(a_content(), refused=((a_content(), Conflict),)),
    TouchSession: Case(a_session()),
    AppendEntry: Case(an_entry(), refused=((an_entry(turn_id="t2"), Conflict),)),
    SetLabel: Case(SetLabel(SESSION, "plans"), (a_session(),), ((SetLabel("x", "y"), NotFound),)),
    ExpectIdle: Case(ExpectIdle(SESSION), (a_session(),), ((ExpectIdle("x"), Conflict),)),
    ClearTranscript: Case(ClearTranscript(SESSION), (an_entry(),)),
    CutTranscript: Case(
        CutTranscript(SESSION, 0, 1), (an_entry(),), ((CutTranscript(SESSION, 0, 1), Conflict),)
    ),
    MoveEntries: Case(MoveEntries(SESSION, "elsewhere"), (an_entry(),)),
    MoveContents: Case(MoveContents(SESSION), (a_content(), an_entry())),
    MoveInputs: Case(MoveInputs(SESSION, "elsewhere"), (an_input(), an_entry())),
    BlankSession: Case(BlankSession(SESSION), (a_content(),)),
    DropRuns: Case(DropRuns(SESSION), (an_input(), a_run(run_id="t1"))),
    DropSession: Case(DropSession(SESSION), (a_session(),), ((DropSession(SESSION), NotFound),)),
    AcceptInput: Case(
        an_input(external_id="x1", mailbox=1),
        refused=(
            (an_input(turn_id="t2", mailbox=1), Busy),
            (an_input(turn_id="t2", external_id="x1"), Duplicate),
            (an_input(), Duplicate),
        ),
    ),
    RememberKey: Case(a_key(), refused=((a_key(turn_id="t2"), Duplicate),)),
    StartInput: Case(StartInput("t1"), (an_input(),), ((StartInput("t1"), Conflict),)),
    MergeInput: Case(
        MergeInput("t2", "t1", 2),
        (an_input(), an_input(turn_id="t2")),
        ((MergeInput("t2", "t1", 2), Conflict),),
    ),
    PauseInput: Case(
        PauseInput("t1", "approval"),
        (an_input(), StartInput("t1")),
        ((PauseInput("t1", "timer"), Conflict),),
    ),
    ResumeInput: Case(
        ResumeInput("t1"),
        (an_input(), StartInput("t1"), PauseInput("t1", "approval")),
        ((ResumeInput("t1"), Conflict),),
    ),
    EndInput: Case(
        EndInput("t1", "answered", "", 2),
        (an_input(), StartInput("t1")),
        ((EndInput("t1", "cancelled", "", 3), Conflict),),
    ),
    EndQueued: Case(
        EndQueued("t1", "expired", 2), (an_input(),), ((EndQueued("t1", "cancelled", 3), Conflict),)
    ),
    OpenRun: Case(a_run(), refused=((a_run(holder="w2"), Conflict),)),
    TakeRun: Case(
        TakeRun("r1", "w2", 200, 100), (a_run(),), ((TakeRun("r1", "w3", 200, 199), LeaseHeld),)
    ),
    CountRecovery: Case(
        CountRecovery("r1", 1, 2, 5), (a_run(),), ((CountRecovery("r1", 2, 3, 5), LeaseLost),)
    ),
    BeginStep: Case(
        a_begin(),
        (a_run(),),
        ((a_begin(epoch=2), LeaseLost), (a_begin(intent="another"), LeaseLost)),
    ),
    NoteStep: Case(NoteStep("r1", 1, "0", '"half"'), _BEGUN),
    CompleteStep: Case(a_completion(), _BEGUN, ((a_completion(), LeaseLost),)),
    RecordStep: Case(a_record(), (a_run(),), ((a_record(), LeaseLost),)),
    FailStep: Case(
        FailStep("r1", 1, "0", "{}", 3), _BEGUN, ((FailStep("r1", 1, "0", "{}", 4), LeaseLost),)
    ),
    EndRun: Case(a_run_end(), (a_run(),), ((a_run_end(status="failed"), LeaseLost),)),
    ReleaseRun: Case(
        ReleaseRun("r1", 1, "drain", 3), (a_run(),), ((ReleaseRun("r1", 2, "drain", 3), LeaseLost),)
    ),
    ParkRun: Case(
        ParkRun("r1", 1, "timer", 50, 3), (a_run(),), ((ParkRun("r1", 1, "", None, 4), LeaseLost),)
    ),
    AwaitKey: Case(AwaitKey("r1", "go"), (a_run(),)),
    ForgetKeys: Case(ForgetKeys("r1"), (a_run(), AwaitKey("r1", "go"))),
    RequestCancel: Case(
        RequestCancel("r1", 2),
        (a_run(), a_run(run_id="r2"), a_run_end(run_id="r2")),
        ((RequestCancel("r2", 10), RunTerminal),),
    ),
    EmitRunEvent: Case(EmitRunEvent("r1", "go", "1", 2), (a_run(),)),
    AppendStream: Case(AppendStream("r1", 1, '"a"', 2), (a_run(),)),
    PutBlob: Case(PutBlob("aa", '"long"')),
    ChargeRun: Case(ChargeRun("r1", 1, "0", 1, "small", 1, 10, 2), (a_run(),)),
    PutRun: Case(a_copy(), refused=((a_copy(), Conflict),)),
    PutStep: Case(a_copied_step(), (a_copy(),), ((a_copied_step(), Conflict),)),
    ReopenRun: Case(
        ReopenRun("r1", 1, 10),
        (a_run(), a_run_end(), a_run(run_id="r2")),
        ((ReopenRun("r1", 1, 11), Conflict), (ReopenRun("r2", 1, 11), Conflict)),
    ),
    DropStep: Case(
        DropStep("r1", "0"),
        (a_copy(), a_copied_step(), a_run(run_id="r2"), a_begin(run_id="r2")),
        ((DropStep("r1", "0"), Conflict), (DropStep("r2", "0"), Conflict)),
    ),
    DropRunEvent: Case(
        DropRunEvent("r1", "go"),
        (a_copy(), EmitRunEvent("r1", "go", "1", 2)),
        ((DropRunEvent("r1", "go"), Conflict),),
    ),
    RenewLeases: Case(RenewLeases("w1", 300, 50), (a_run(),)),
    EnqueueDelivery: Case(a_delivery(), refused=((a_delivery(delivery_id="d2"), Duplicate),)),
    BeginSend: Case(BeginSend("d1", 2), (a_delivery(),), ((BeginSend("d1", 3), Conflict),)),
    RetrySend: Case(
        RetrySend("d1", 9, "later"),
        (a_delivery(), BeginSend("d1", 2)),
        ((RetrySend("d1", 9, "later"), Conflict),),
    ),
    TakeSend: Case(
        TakeSend("d1", 3, 9),
        (a_delivery(), BeginSend("d1", 2)),
        ((TakeSend("d1", 3, 9), Conflict), (TakeSend("d1", 9, 9), Conflict)),
    ),
    EndSend: Case(
        EndSend("d1", "sent", "m7", "", 4),
        (a_delivery(), BeginSend("d1", 2)),
        ((EndSend("d1", "dead", "", "gone", 5), Conflict),),
    ),
    MarkPulled: Case(MarkPulled("t1:0", 2), (a_delivery(state="available"),)),
    RetryDelivery: Case(
        RetryDelivery("d1", 5, 9),
        (a_delivery(), EndSend("d1", "dead", "", "gone", 4)),
        ((RetryDelivery("d1", 5, 9), Conflict),),
    ),
    PurgeDelivery: Case(
        PurgeDelivery("d1"),
        (a_delivery(), EndSend("d1", "sent", "", "", 4)),
        ((PurgeDelivery("d1"), Conflict),),
    ),
    PurgeFailed: Case(PurgeFailed(10), (a_delivery(), EndSend("d1", "dead", "", "gone", 4))),
    PutBinding: Case(PutBinding("b1", "{}", 1)),
    RemoveBinding: Case(
        RemoveBinding("b1"), (PutBinding("b1", "{}", 1),), ((RemoveBinding("b1"), NotFound),)
    ),
    PutAgent: Case(PutAgent("luna", "{}", 1)),
    RemoveAgent: Case(
        RemoveAgent("luna"), (PutAgent("luna", "{}", 1),), ((RemoveAgent("luna"), NotFound),)
    ),
    PutStanding: Case(PutStanding("k1", "big", "{}", 1)),
    PutCredential: Case(
        PutCredential("k1", "bot", "aa", "read", 1),
        refused=((PutCredential("k2", "bot", "bb", "read", 1), Conflict),),
    ),
    RevokeCredential: Case(
        RevokeCredential("k1", 2),
        (PutCredential("k1", "bot", "aa", "read", 1),),
        ((RevokeCredential("k1", 3), NotFound),),
    ),
    PruneEvents: Case(PruneEvents(10, 0, 10)),
    RaiseLogFloor: Case(RaiseLogFloor()),
    PruneRuns: Case(PruneRuns(10, 10), (a_run(), a_run_end())),
    PruneStream: Case(PruneStream(10, 10), (a_run(), AppendStream("r1", 1, '"a"', 2), a_run_end())),
    PruneKeys: Case(PruneKeys(10, 10), (a_key(),)),
    PruneDeliveries: Case(
        PruneDeliveries(10, 10), (a_delivery(), EndSend("d1", "expired", "", "", 4))
    ),
    PruneInputs: Case(PruneInputs(10, 10), (an_input(), EndQueued("t1", "expired", 2))),
    PruneContent: Case(PruneContent("c1"), (a_content(),)),
    PruneBlobs: Case(PruneBlobs(10), (PutBlob("aa", "1"),)),
}


async def put(store: Store, *ops: Op) -> Receipt:
    """Commit the operations as one unit."""
    return await store.commit(Unit(ops))


async def refusal(work: Coroutine[Any, Any, object]) -> type[BaseException] | None:
    """The class of what `work` raised, None when it was accepted."""
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    return type(outcome) if isinstance(outcome, BaseException) else None


async def one(store: Store, query: Query[_T]) -> _T:
    """The only row of a query."""
    (row,) = await store.read(query)
    return row


def happened(kind: str = "seen", *, at: int = 1, content_id: str = "") -> NewEvent:
    return NewEvent(at=at, kind=kind, session_key=SESSION, content_id=content_id)


async def everything(store: Store) -> list[object]:
    """All that queries can see of what the tests write."""
    queries: Iterable[Query[Any]] = (
        ReadEvents(0, 100),
        GetLogBounds(),
        ListSessions(2**40, "", 100),
        LoadTranscript(SESSION),
        *(GetInput(turn) for turn in ("t1", "t2")),
        FindKey("ann", "send", "k1"),
        *(GetRun(run) for run in ("r1", "r2")),
        LoadSteps("r1"),
        GetRunEvent("r1", "go"),
        RunEvents("r1"),
        RunCosts("r1"),
        LoadStream("r1", -1, 100),
        DeliveriesOfTurn("t1"),
        ListBindings(),
    )
    return [await store.read(query) for query in queries]
