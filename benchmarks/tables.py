"""What a benchmark hands back, and how it is printed.

A benchmark is a function from `Progress` to tables and aims; it is listed in `benchmarks.__main__`.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Cell = str | int | float | None
"""None where there is nothing to say."""

Progress = Callable[[str], None]
"""Says on stderr what is being measured."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures with a heading; `note` says how to read them."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """For comparing one run with another."""
        return dataclasses.asdict(self)

    def as_text(self) -> str:
        """For reading: the first column to the left, figures to the right."""
        lines = [self.columns, *(tuple(map(_shown, row)) for row in self.rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        aligned = [
            "  ".join(
                text.ljust(width) if place == 0 else text.rjust(width)
                for place, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        note = [self.note] if self.note else []
        return "\n".join([self.title, rule, aligned[0], rule, *aligned[1:], *note])


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should be: at most `bound`, or at least."""

    measure: str
    found: float
    bound: float
    unit: str
    at_most: bool = True

    @property
    def held(self) -> bool:
        """Whether the figure is what it should be."""
        return self.found <= self.bound if self.at_most else self.found >= self.bound

    def as_json(self) -> dict[str, Any]:
        """For comparing one run with another."""
        return dataclasses.asdict(self)

    def row(self) -> tuple[Cell, ...]:
        """Found beside bound, and the verdict."""
        sign = "≤" if self.at_most else "≥"
        verdict = "pass" if self.held else "miss"
        return (self.measure, self.found, f"{sign} {self.bound:g}", self.unit, verdict)


Found = list[Table | Aim]
"""Tables are printed as they come, aims of all benchmarks together at the end."""

Benchmark = Callable[[Progress], Found]


def against(aims: Sequence[Aim]) -> Table:
    """Each aim with its verdict."""
    columns = ("measure", "found", "aim", "unit", "")
    missed = sum(not aim.held for aim in aims)
    note = f"{len(aims) - missed} of {len(aims)} hold; a busy machine misses those in ms first"
    return Table("what we aim at", columns, [aim.row() for aim in aims], note)


def machine() -> Table:
    """What the figures were measured on."""
    return Table(
        "machine",
        ("cores", "system", "Python", "SQLite"),
        [
            (
                os.cpu_count(),
                f"{platform.system()} {platform.machine()}",
                platform.python_version(),
                sqlite3.sqlite_version,
            )
        ],
    )


def say(text: str) -> None:
    """Progress for people; stdout holds the figures alone."""
    print(text, file=sys.stderr, flush=True)


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if cell >= 100 else f"{cell:.3g}" if cell < 0.1 else f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
