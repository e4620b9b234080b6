"""What is wrong with route rules, as values: where it is, what came, what to write instead.

Loading collects every problem before it refuses, so that a file is mended in one go. Nothing here
decides what a problem means for the gateway: the loader refuses, warns or keeps the last table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.errors import ConfigError


class Severity(StrEnum):
    """What a problem costs."""

    ERROR = "error"
    """The file is refused, or every message that reaches the rule is."""
    WARNING = "warning"
    """The rules work, probably not as meant."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding; `path` is the JSON path of the value it is about."""

    path: str
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.severity} at {self.path}: {self.message}"


class InvalidRoutes(ConfigError):
    """The rules cannot be used as they stand; the message lists every problem."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{file} is not usable; nothing of it was taken over:{lines}")
        self.problems = tuple(problems)


def json_path(start: str, steps: Iterable[int | str]) -> str:
    """The path of a value some steps below `start`."""
    path = start
    for step in steps:
        plain = isinstance(step, str) and step.isidentifier()
        path += f".{step}" if plain else f"[{step!r}]"
    return path
