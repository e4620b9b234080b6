"""An answer on its way, written to its run's live output: in pieces, so that a word is no write.

Whoever comes late reads these by cursor; what a crash takes with it is made again by the next
attempt. `Previews` shows the same text to those who look on, word by word.
"""

from __future__ import annotations

from gateway.core.clock import Clock
from gateway.runs.attempts import Attempt
from gateway.runs.context import RunContext

PIECE_CHARS = 512
"""A piece is written when it is this long,"""
PIECE_S = 0.25
"""or when its first character has waited this long: four writes a second, which ride along."""


class LiveText:
    """The text of one attempt."""

    def __init__(self, context: RunContext, attempt: Attempt, clock: Clock) -> None:
        self._context = context
        self._step = attempt.path
        self._number = attempt.number
        self._clock = clock
        self._waiting: list[str] = []
        self._chars = 0
        self._offset = 0
        self._since = 0.0

    def add(self, text: str) -> None:
        """More of it."""
        now = self._clock.monotonic()
        if not self._waiting:
            self._since = now
        self._waiting.append(text)
        self._chars += len(text)
        if self._chars >= PIECE_CHARS or now - self._since >= PIECE_S:
            self.flush()

    def restart(self, number: int) -> None:
        """An answer begins anew, under a higher number: what was written of the last is void."""
        self._waiting.clear()
        self._chars = self._offset = 0
        self._number = number

    def flush(self) -> None:
        """Write what waits: the attempt is over, or a piece is full."""
        if not self._waiting:
            return
        text = "".join(self._waiting)
        self._context.stream(
            {
                "step": self._step,
                "attempt": self._number,
                "offset": self._offset,
                "text": text,
            }
        )
        self._offset += len(text)
        self._waiting.clear()
        self._chars = 0
