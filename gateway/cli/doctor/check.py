"""What a check is, and what it finds. A check looks and changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gateway.cli.target import Target
from gateway.settings.settings import Settings


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    """It works, probably not as meant."""
    FAIL = "fail"
    """A gateway would not start here, or would not answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw; `fix` is what to do, empty when all is well."""

    level: Level
    saw: str
    fix: str = ""


def ok(saw: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, saw)


def warn(saw: str, fix: str) -> Finding:
    """It works, with a catch."""
    return Finding(Level.WARN, saw, fix)


def fail(saw: str, fix: str) -> Finding:
    """It will not work."""
    return Finding(Level.FAIL, saw, fix)


@dataclass(frozen=True, slots=True)
class Scene:
    """What checks look at.

    `settings` has defaults where a setting is wrong; `problems` lists those. `target` is the
    gateway that says it runs on this home.
    """

    settings: Settings
    problems: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    now_s: float
    """Seconds since the epoch, as this machine's clock has it."""
    target: Target | None
    online: bool = False


Look = Callable[[Scene], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One question with a name."""

    name: str
    asks: str
    """The question, for the documentation."""
    look: Look
