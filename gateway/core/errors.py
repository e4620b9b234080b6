"""Every error turngate raises on purpose, grouped by who must act, and the one table to codes.

TurngateError
├── CallerError              the sender changes something, or waits
│   ├── InvalidInput         a value breaks a rule; says which, what came, what to do
│   ├── NotFound
│   ├── Conflict             the thing moved on: claimed, ended, same key with other body
│   ├── Duplicate            this external id was accepted before; the caller looks it up
│   ├── Unauthenticated      no credential, or one that is not known (any more)
│   ├── Forbidden            the credential does not allow it
│   ├── RateLimited          too much in too short a time
│   ├── TooLarge             the answer does not fit a frame; ask for a page
│   ├── RequestCancelled     the client took its request back
│   └── Busy                 a bound was reached; says how deep the queue is and when to try again
├── OperatorError            the operator changes something
│   ├── ConfigError
│   ├── UnknownAgent
│   ├── StoreUnavailable     nothing was written; the store may come back
│   ├── StoreDamaged         what the database holds is not what was written
│   ├── StoreLocked          another process owns the file
│   ├── GatewayUnreachable   no gateway answers where one was expected
│   ├── SchemaMismatch       the database was written by a newer turngate
│   ├── WeightsUnavailable   the file of the local model is missing or cannot be had
│   ├── BudgetSpent          a budget is exhausted; no model was asked
│   └── ModelFailed          the upstream model gave no usable answer; says the category
├── ToolError                the model changes its call: the text is the tool's result
├── DeliveryError            the delivery worker decides: resend, give up, or ask
│   ├── DeliveryTransient    nothing was shown; try again later
│   ├── DeliveryPermanent    will never work: dead letter immediately
│   └── DeliveryUnknown      it may have been shown: never resent blindly
├── RunError                 the run contract was refused; the engine decides
│   ├── LeaseHeld            another live worker owns the run
│   ├── LeaseLost            this worker's epoch is over: write nothing, stop acting
│   ├── ManifestMismatch     same run id, other task or input
│   ├── TooManySteps         the run never comes to an end
│   ├── StepDivergence       replay asks for another intent than the recorded one
│   ├── StepInputMismatch    same intent, other fingerprint
│   ├── StepResultTooLarge
│   ├── StepOutcomeUnknown   an unsafe step was cut by a crash: an operator decides
│   ├── AwaitEventTimeout
│   ├── EventEmitRace        the key had its event before; the first one stays
│   ├── RunCancelled
│   ├── RunParked            control flow: the run waits outside the process
│   ├── RunTerminal          the run has already ended
│   └── RunQuarantined       the run took its process down too often
└── Bug                      no caller can act; an error id points at the log
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ModelCategory = Literal[
    "rate",
    "quota",
    "auth",
    "overloaded",
    "server",
    "timeout",
    "overflow",
    "too_large",
    "filtered",
    "not_found",
    "bad_request",
    "truncated",
    "bad_response",
]
"""Why a model call failed, as far as the upstream lets us tell."""


Subject = Literal["request", "model", "key", "account", "server"]
"""What a refusal is about: it decides what cools down afterwards."""

SUBJECTS: dict[ModelCategory, Subject] = {
    "rate": "model",  # limits are counted for each model of a key
    "quota": "account",
    "auth": "key",
    "overloaded": "server",
    "server": "server",
    "timeout": "server",
    "overflow": "request",
    "too_large": "request",
    "filtered": "request",
    "not_found": "model",
    "bad_request": "request",
    "truncated": "server",
    "bad_response": "server",
}
"""The subject of a category where nothing more is known."""

AttemptEnd = ModelCategory | Literal["", "unfinished"]


@dataclass(frozen=True, slots=True)
class ModelAttempt:
    """One request to one model server: which key and model, why these, and how it ended.

    `category` is empty where it answered, `unfinished` where no end is known: it is under way, or
    was cut by the end of a process. `waited_ms` passed before it, `took_ms` during it.
    """

    profile: str
    model: str
    why: str
    category: AttemptEnd = ""
    waited_ms: int = 0
    took_ms: int = 0


class TurngateError(Exception):
    """Root of the tree. The message is a sentence for the party that must act."""

    def __init__(self, message: str = "", *, retry_after_ms: int | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or type(self).__name__).split("\n")[0])
        self.retry_after_ms = retry_after_ms


class CallerError(TurngateError):
    """The sender must change something or wait."""


class InvalidInput(CallerError):
    """A value breaks a rule."""


class NotFound(CallerError):
    """There is nothing by that name."""


class Conflict(CallerError):
    """The thing has moved on since the caller looked."""


class Duplicate(Conflict):
    """This external id was accepted before."""


class Unauthenticated(CallerError):
    """There is no valid credential."""


class Forbidden(CallerError):
    """The credential does not allow this."""


class RateLimited(CallerError):
    """Too many requests in too short a time."""


class TooLarge(CallerError):
    """The result does not fit into one frame."""


class RequestCancelled(CallerError):
    """The client has taken its request back."""


class Busy(CallerError):
    """A bound was reached; nothing was accepted."""


class OperatorError(TurngateError):
    """The operator must change a setting, a file or a service."""


class ConfigError(OperatorError):
    """A setting or a file in the workspace is wrong."""


class UnknownAgent(OperatorError):
    """A rule or an override names an agent that is not there."""


class StoreUnavailable(OperatorError):
    """The store did not take the write; nothing of it holds."""


class StoreDamaged(OperatorError):
    """The database holds what turngate never wrote, or lacks what it did."""


class StoreLocked(OperatorError):
    """Another process owns this database file."""


class GatewayUnreachable(OperatorError):
    """No gateway answers there."""


class SchemaMismatch(OperatorError):
    """The database was written by a newer turngate."""


class WeightsUnavailable(OperatorError):
    """The file of the local model is missing, or cannot be had."""


class BudgetSpent(OperatorError):
    """A budget of tokens or model calls is exhausted."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose fault a refusal is, and what can be done about it.

    `certain` is false where the server explains nothing: a bare 500, an unknown 4xx. `member` is
    the part of the request it does not take: `tools`, `images`, `stream_options` …; empty for none.
    `prompt` is how many tokens it counted, `output` the maximum of tokens it says an answer may
    have, `fits` the maximum beside this prompt, `short_by` how many were asked for in excess; 0
    where it named none.
    """

    subject: Subject = "server"
    certain: bool = True
    member: str = ""
    prompt: int = 0
    output: int = 0
    fits: int = 0
    short_by: int = 0


class ModelFailed(OperatorError):
    """The upstream model gave no usable answer.

    `window` is how many tokens the server said it takes, 0 where it did not, `tokens` how many its
    model would count here, where we know how it counts; `attempts` is what was tried, empty for a
    single request; `told` is what people are told, where the sentence of the category would be
    wrong.
    """

    def __init__(
        self,
        category: ModelCategory,
        message: str,
        *,
        retry_after_ms: int | None = None,
        window: int = 0,
        tokens: int = 0,
        attempts: tuple[ModelAttempt, ...] = (),
        told: str = "",
        blame: Blame | None = None,
    ) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)
        self.category: ModelCategory = category
        # Where a server breaks down without a word, the request may be what broke it.
        self.blame = blame or Blame(SUBJECTS[category], certain=category != "server")
        self.window = window
        self.tokens = tokens
        self.attempts = attempts
        self.told = told


class ToolError(TurngateError):
    """A tool refused or failed; the text is the tool's result for the model."""


class DeliveryError(TurngateError):
    """A message could not be handed to its destination."""


class DeliveryTransient(DeliveryError):
    """Nothing was shown; sending again later may work."""


class DeliveryPermanent(DeliveryError):
    """Sending again will never work."""


class DeliveryUnknown(DeliveryError):
    """It may or may not have been shown."""


class RunError(TurngateError):
    """The run contract was refused."""


class LeaseHeld(RunError):
    """Another live worker owns this run."""


class LeaseLost(RunError):
    """This worker's lease is over; nothing was written."""


class ManifestMismatch(RunError):
    """The run id exists with another task or input."""


class TooManySteps(RunError):
    """The run has more steps than any run that ends."""


class StepDivergence(RunError):
    """The replay asks for another step than the one recorded at this position."""


class StepInputMismatch(RunError):
    """The step at this position was recorded with other input."""


class StepResultTooLarge(RunError):
    """A step result exceeds what a run may store."""


class StepOutcomeUnknown(RunError):
    """An unsafe step was cut by a crash; whether it happened is not known."""


class AwaitEventTimeout(RunError):
    """The awaited event did not come in time."""


class EventEmitRace(RunError):
    """The event was emitted before with another payload; the first one stays."""


class RunCancelled(RunError):
    """The run was asked to stop."""


class RunParked(RunError):
    """The run waits for something outside the process.

    `reason` is what for; it wakes at `wake_at` (ms since the epoch) or when one of `keys` comes.
    """

    def __init__(self, reason: str, *, wake_at: int | None = None, keys: tuple[str, ...] = ()):
        super().__init__(f"the run waits for {reason}")
        self.reason = reason
        self.wake_at = wake_at
        self.keys = keys


class RunTerminal(RunError):
    """The run has already ended."""


class RunQuarantined(RunError):
    """The run was interrupted too often without progress."""


class Bug(TurngateError):
    """An unexpected error; its id points at the log entry."""

    def __init__(self, message: str = "", *, error_id: str = "") -> None:
        super().__init__(message)
        self.error_id = error_id


@dataclass(frozen=True, slots=True)
class Row:
    """How one class looks outside.

    `code` is the JSON-RPC code, `kind` the stable word clients branch on, `retryable` whether the
    same call may succeed later, `exit_code` what a command ends with (sysexits: 69 unavailable,
    75 try later, 78 configuration).
    """

    code: int
    kind: str
    retryable: bool = False
    exit_code: int = 1


# One row a class; a test proves that every class has one and that kinds are unique.
TABLE: dict[type[TurngateError], Row] = {
    InvalidInput: Row(-32602, "invalid", exit_code=2),
    NotFound: Row(-32004, "not_found"),
    Conflict: Row(-32009, "conflict"),
    Duplicate: Row(-32009, "duplicate"),
    Unauthenticated: Row(-32010, "unauthenticated", exit_code=77),
    Forbidden: Row(-32003, "forbidden", exit_code=77),
    RateLimited: Row(-32029, "rate_limited", retryable=True, exit_code=75),
    TooLarge: Row(-32013, "result_too_large"),
    RequestCancelled: Row(-32800, "request_cancelled"),
    Busy: Row(-32029, "busy", retryable=True, exit_code=75),
    ConfigError: Row(-32078, "config", exit_code=78),
    UnknownAgent: Row(-32004, "unknown_agent", exit_code=78),
    StoreUnavailable: Row(-32053, "store_unavailable", retryable=True, exit_code=69),
    StoreDamaged: Row(-32053, "store_damaged"),
    StoreLocked: Row(-32053, "store_locked", exit_code=69),
    GatewayUnreachable: Row(-32057, "unreachable", retryable=True, exit_code=69),
    SchemaMismatch: Row(-32078, "schema_mismatch", exit_code=78),
    WeightsUnavailable: Row(-32054, "weights_unavailable", exit_code=69),
    BudgetSpent: Row(-32058, "budget_spent", retryable=True, exit_code=75),
    ModelFailed: Row(-32054, "model_failed", exit_code=69),
    ToolError: Row(-32055, "tool_error"),
    DeliveryTransient: Row(-32056, "delivery_transient", retryable=True),
    DeliveryPermanent: Row(-32056, "delivery_permanent"),
    DeliveryUnknown: Row(-32056, "delivery_unknown"),
    LeaseHeld: Row(-32009, "lease_held", retryable=True),
    LeaseLost: Row(-32009, "lease_lost"),
    ManifestMismatch: Row(-32009, "manifest_mismatch"),
    TooManySteps: Row(-32009, "too_many_steps"),
    StepDivergence: Row(-32009, "step_divergence"),
    StepInputMismatch: Row(-32009, "step_input_mismatch"),
    StepResultTooLarge: Row(-32009, "step_result_too_large"),
    StepOutcomeUnknown: Row(-32009, "step_outcome_unknown"),
    AwaitEventTimeout: Row(-32009, "await_event_timeout"),
    EventEmitRace: Row(-32009, "event_emit_race"),
    RunCancelled: Row(-32009, "run_cancelled"),
    RunParked: Row(-32009, "run_parked"),
    RunTerminal: Row(-32009, "run_terminal"),
    RunQuarantined: Row(-32009, "run_quarantined"),
    Bug: Row(-32603, "internal"),
}


def describe(error: BaseException) -> Row:
    """The table row of an error; a foreign exception is a `Bug`.

    Walks the class's ancestors so that a subclass without its own row keeps its family's.
    """
    for cls in type(error).__mro__:
        if cls in TABLE:
            return TABLE[cls]
    return TABLE[Bug]


def by_kind(kind: str) -> type[TurngateError]:
    """The class a stable word stands for, as received over the wire; `Bug` if unknown."""
    return next((cls for cls, row in TABLE.items() if row.kind == kind), Bug)
