"""What has to hold of a database whichever store it is in, and what was found of that.

The rules are data, in words both stores understand; asking them is each store's own part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.errors import StoreDamaged
from gateway.store.whole_tables import pieces

SHOWN = 5
"""How many of the things that break one rule are named."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: problems as sentences, and the number of rows by table. `name` is a path, or
    an address without secrets."""

    name: str
    version: int
    problems: tuple[str, ...]
    rows: dict[str, int]

    def raise_problems(self) -> None:
        """Raise `StoreDamaged` when there are any."""
        if self.problems:
            listed = "\n".join(f"  {problem}" for problem in self.problems)
            raise StoreDamaged(f"{self.name} has {len(self.problems)} problems:\n{listed}")


def rules() -> list[tuple[str, str]]:
    """A sentence for when it does not hold, and the statement that gives what breaks it."""
    return pieces("check.sql")


def broken(rule: str, rows: Sequence[Sequence[object]]) -> list[str]:
    """The sentence with what breaks the rule; nothing where nothing does."""
    if not rows:
        return []
    named = ", ".join(str(row[0]) for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return [f"{rule}: {named}{more}"]
