"""What was found, as tables. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rivals.marks import Survival
from benchmarks.tables import Cell, Table


@dataclass(frozen=True, slots=True)
class Figures:
    """One gateway."""

    name: str
    version: str
    changed: str
    per_s: float
    cpu_ms: float
    added_ms: float
    """One chat, nothing beside it: the median turn without the model server's own part."""
    ready_s: tuple[float, ...]
    """Each start."""
    memory_mib: float
    survival: Survival
    failover_s: float | None
    """None: no answer in time, or none at all."""


def tables(found: Sequence[Figures], chats: int, failover_bound_s: float) -> list[Table]:
    """The figures, each with how many times the first gateway's it is; what became of messages."""
    first, *others = found
    columns = ["", f"{first.name} {first.version}"]
    for each in others:
        columns += [f"{each.name} {each.version}", "times"]
    rows = [
        _row(f"turns/s, {chats} chats", [each.per_s for each in found]),
        _row("CPU of a turn, ms", [each.cpu_ms for each in found]),
        _row("added latency, ms", [each.added_ms for each in found]),
        _row("ready after, s", [statistics.median(each.ready_s) for each in found]),
        _row("memory, MiB", [each.memory_mib for each in found]),
        _row("one key answers 429: answer after, s", [each.failover_s for each in found]),
    ]
    notes = [f"A dash: no answer in {failover_bound_s:g} s."]
    notes += [f"{each.name}: {each.changed}." for each in found]
    kills = [
        (
            each.name,
            each.survival.kills,
            each.survival.acknowledged,
            each.survival.once,
            each.survival.twice,
            each.survival.never,
        )
        for each in found
    ]
    return [
        Table("Gateways beside each other", tuple(columns), rows, "\n".join(notes)),
        Table(
            "Killed while messages are in: what became of the acknowledged ones",
            ("", "kills", "acknowledged", "answered once", "twice", "never"),
            kills,
            "By their transcripts, after a start in the same home; nothing was sent again.",
        ),
    ]


def _row(name: str, found: Sequence[float | None]) -> tuple[Cell, ...]:
    first, *others = found
    cells: list[Cell] = [name, first]
    for each in others:
        cells += [each, each / first if each and first else None]
    return tuple(cells)
