"""One row of the fault catalogue: a name, what goes over the wire, and what that must lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.core.errors import ModelCategory
from gateway.simulate.answers import Raw, Wait

Outcome = ModelCategory | Literal["answer"]
"""The category a client must find, or that it must take what comes for an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`shows` says in a few words what a client sees."""

    name: str
    leads_to: Outcome
    shows: str
    answer: Raw | Callable[[int], Raw]
    """A function gets the wall time in milliseconds, for what holds a date."""
    retry_after_ms: int | None = None
    """The wish to be left alone that a client must find."""
    host: str = ""
    """Whoever answers like this is to be understood by its name alone; from any other host it is
    a `bad_request`."""

    @property
    def waits(self) -> bool:
        """Whether it takes time."""
        raw = self.raw(0)
        return any(isinstance(piece, Wait) for piece in raw.pieces)

    def raw(self, now_ms: int) -> Raw:
        """What goes over the wire at this moment."""
        return self.answer if isinstance(self.answer, Raw) else self.answer(now_ms)
