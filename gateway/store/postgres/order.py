"""Which operations of a batch may be sent together: those of one kind that belong to runs.

Pure. A run's operations keep their order, and everything keeps its order to an operation that is
not listed here: nothing is moved over what might touch the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.store.base import costs, runs, steps
from gateway.store.base.catalog import Op

OF_ONE_RUN: frozenset[type[Any]] = frozenset(
    {
        runs.OpenRun,
        steps.BeginStep,
        steps.NoteStep,
        steps.CompleteStep,
        steps.RecordStep,
        steps.FailStep,
        costs.ChargeRun,
        runs.AppendStream,
        runs.EndRun,
    }
)
"""They read and write rows of one run only, at most one row each, and say which by `run_id`."""


class Placed(NamedTuple):
    """An operation, and where it belongs: the place of its unit, and its place in the unit."""

    unit: int
    place: int
    op: Op


def together(units: Sequence[Sequence[Op]]) -> list[list[Placed]]:
    """All operations as groups to be sent one after the other; a group has one kind."""
    groups: list[list[Placed]] = []
    open_groups: dict[type[Any], int] = {}
    latest: dict[str, int] = {}
    for unit, ops in enumerate(units):
        for index, op in enumerate(ops):
            kind, placed = type(op), Placed(unit, index, op)
            if kind not in OF_ONE_RUN:
                groups.append([placed])
                open_groups.clear()
                latest.clear()
                continue
            run_id: str = op.run_id  # type: ignore[union-attr]  # OF_ONE_RUN says so
            at = open_groups.get(kind, -1)
            if at < latest.get(run_id, 0):
                at = open_groups[kind] = len(groups)
                groups.append([])
            groups[at].append(placed)
            latest[run_id] = at
    return groups
