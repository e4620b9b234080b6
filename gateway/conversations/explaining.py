"""Why a turn went the way it did: route, steps, attempts and deliveries from what was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from gateway.conversations.ownership import Ownership
from gateway.identity.principal import Principal
from gateway.store.base.inputs import InputRow, InputsOfTurn
from gateway.store.base.outbox import DeliveriesOfTurn, DeliveryRow
from gateway.store.base.runs import GetRun, RunRow
from gateway.store.base.steps import LoadSteps, StepRow
from gateway.store.base.store import Store

_TOLD = (
    *("model", "profile", "input_tokens", "output_tokens"),
    *("failed", "compacted", "shortened", "notice"),
)
"""What the record of a model call says about it, besides what was said in it."""


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """A step, without what was said in it.

    Of a model call `told` has its model, profile, tokens and what it lost, by the names under which
    they are recorded, and `requests` what it tried, in order.
    """

    row: StepRow
    told: dict[str, Any]
    requests: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What was recorded of a turn; `merged` are the messages that it answered as well."""

    turn: InputRow
    merged: list[str]
    run: RunRow | None
    steps: list[ExplainedStep]
    deliveries: list[DeliveryRow]


@dataclass(frozen=True, slots=True)
class Explaining:
    """See the module."""

    store: Store
    ownership: Ownership

    async def turn(self, principal: Principal, turn_id: str) -> TurnRecord:
        """What was recorded of a turn, or of the one it was merged into; raises `NotFound`."""
        row = await self.ownership.turn(principal, turn_id)
        answering = row.merged_into or row.turn_id
        inputs = await self.store.read(InputsOfTurn(answering))
        runs = await self.store.read(GetRun(answering))
        steps = await self.store.read(LoadSteps(answering))
        return TurnRecord(
            turn=row,
            merged=[other.turn_id for other in inputs if other.turn_id != answering],
            run=runs[0] if runs else None,
            steps=[_explained(step) for step in sorted(steps, key=lambda step: step.started_at)],
            deliveries=await self.store.read(DeliveriesOfTurn(answering)),
        )


def _explained(step: StepRow) -> ExplainedStep:
    record = orjson.loads(step.result) if step.result else {}
    known = record if step.kind == "llm" and isinstance(record, dict) else {}
    told = {name: known[name] for name in _TOLD if name in known}
    return ExplainedStep(step, told, known.get("attempts", []))
