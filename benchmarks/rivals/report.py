"""What was found, as tables. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
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
    """The figures with how many times turngate's, and what became of messages."""
    columns = ("", *(f"{each.name} {each.version}" for each in found))
    rows: list[tuple[Cell, ...]] = [
        _row(f"turns/s, {chats} chats", found, lambda each: each.per_s),
        _row("CPU of a turn, ms", found, lambda each: each.cpu_ms),
        _row("added latency, ms", found, lambda each: each.added_ms),
        _row("ready after, s", found, lambda each: statistics.median(each.ready_s)),
        _row("memory, MiB", found, lambda each: each.memory_mib),
        (
            "one key answers 429: answer after, s",
            *(_within(each.failover_s, failover_bound_s) for each in found),
        ),
    ]
    note = "\n".join(f"{each.name}: {each.changed}." for each in found)
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
        Table(
            "Gateways beside each other; in brackets, how many times the first", columns, rows, note
        ),
        Table(
            "Killed while messages are in: what became of the acknowledged ones",
            ("", "kills", "acknowledged", "answered once", "twice", "never"),
            kills,
            "By their transcripts, after a start in the same home; nothing was sent again.",
        ),
    ]


def _row(
    name: str, found: Sequence[Figures], figure: Callable[[Figures], float]
) -> tuple[Cell, ...]:
    first, *others = map(figure, found)
    return (
        name,
        rounded(first),
        *(f"{rounded(each)} ({rounded(each / first)}x)" for each in others),
    )


def _within(seconds: float | None, bound_s: float) -> str:
    return f"none in {bound_s:g}" if seconds is None else rounded(seconds)


def rounded(value: float) -> str:
    """Two significant digits, or whole numbers."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
