"""What lanes write: each change of an input's state as one unit with its entry in the log. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gateway.events.kinds import Kind
from gateway.store.base.catalog import Op
from gateway.store.base.inputs import EndInput, EndQueued, InputRow, MergeInput, StartInput
from gateway.store.base.runs import OpenRun, RunRow
from gateway.store.base.store import Durability, NewEvent, Unit


def event(row: InputRow, kind: Kind, at: int, /, **data: str | int) -> NewEvent:
    """An entry of the log about an input."""
    said = orjson.dumps(data).decode()
    return NewEvent(at, kind, row.session_key, row.agent_id, row.turn_id, said)


def claim(group: Sequence[InputRow], opening: OpenRun, at: int) -> Unit:
    """The first input becomes a turn that answers the others too; its run is `opening`."""
    lead, *others = group
    ops: list[Op] = [StartInput(lead.turn_id)]
    events = [event(lead, Kind.TURN_STARTED, at, inputs=len(group))]
    for row in others:
        ops.append(MergeInput(row.turn_id, lead.turn_id, at))
        events.append(event(row, Kind.INPUT_MERGED, at, into=lead.turn_id))
    return Unit((*ops, opening), tuple(events))


def resumed(row: InputRow, run: RunRow, at: int) -> NewEvent:
    """The entry that holds when a run could be taken again."""
    return event(row, Kind.TURN_RESUMED, at, epoch=run.epoch + 1, recoveries=run.recoveries)


def end_queued(row: InputRow, state: str, kind: Kind, at: int) -> Unit:
    """An input ends before anybody has begun to answer it."""
    return Unit((EndQueued(row.turn_id, state, at),), (event(row, kind, at),), Durability.CRITICAL)


def close(row: InputRow, at: int) -> Unit:
    """An input ends whose run is over without having ended it."""
    end = EndInput(row.turn_id, "failed", "internal", at)
    told = event(row, Kind.TURN_FAILED, at, kind="internal", delivery_key="")
    return Unit((end,), (told,), Durability.CRITICAL)
