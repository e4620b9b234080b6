"""Which of a run's records still hold when it is done again from one of its steps. Pure.

A record holds when it comes before that step in its own scope, or is in a branch beside it. What
does not hold takes with it the events it had consumed and what was decided about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agents.base.tools import Effect
from gateway.core.errors import NotFound
from gateway.store.base.runs import RunEventRow
from gateway.store.base.steps import StepRow


@dataclass(frozen=True, slots=True)
class Rest:
    """The records that hold, those that do not, and the keys of events that go with the latter."""

    kept: tuple[StepRow, ...]
    dropped: tuple[StepRow, ...]
    keys: frozenset[str] = frozenset()

    @property
    def repeated(self) -> tuple[str, ...]:
        """Paths of unsafe steps that may have happened, and would happen once more."""
        return tuple(step.path for step in self.dropped if step.effect == Effect.UNSAFE)


def rest_from(steps: Sequence[StepRow], events: Iterable[RunEventRow], at: str) -> Rest:
    """What is left when a run is done again from the step at path `at`; raises `NotFound`."""
    if not any(step.path == at or step.path.startswith(f"{at}.") for step in steps):
        raise NotFound(f"there is no step {at!r}; turngate runs steps shows those there are")
    dropped = tuple(step for step in steps if not holds(step.path, at))
    consumed = {step.intent.removeprefix("event:") for step in dropped if step.kind == "event"}
    decided = tuple(f"decision:{step.path}:" for step in dropped)
    gone = {event.key for event in events if event.key in consumed or event.key.startswith(decided)}
    return Rest(tuple(step for step in steps if step not in dropped), dropped, frozenset(gone))


def rest_unfinished(steps: Sequence[StepRow]) -> Rest:
    """What is left when a run goes on where it stopped: waits that ran out begin anew."""
    late = tuple(
        step
        for step in steps
        if is_question(step) or (step.kind == "event" and step.status == "failed")
    )
    return Rest(tuple(step for step in steps if step not in late), late)


def holds(path: str, at: str) -> bool:
    """Whether a record at `path` comes before the step at `at`, or beside it."""
    for mine, its in zip(path.split("."), at.split("."), strict=False):
        place = mine.partition("!")[0]
        if not (place.isdecimal() and its.isdecimal()):
            if place != its:  # another branch; the last words of a stopped run hold nowhere
                return "." in path
        elif int(place) != int(its):
            return int(place) < int(its)
    return False


def is_question(step: StepRow) -> bool:
    """Whether a record only says that somebody was asked what became of a step."""
    return step.intent.startswith("ask:")
