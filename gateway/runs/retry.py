"""When a failed step is tried again: pure, so that a test needs neither time nor chance.

A policy is about one step. What waits longer than its deadline, or would fail in the same way, is
left to the task, and to the next execution.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.errors import TurngateError, describe
from gateway.core.ids import Chance


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, how far apart, and for how long altogether. Times are seconds.

    Attempts of earlier executions count; each execution makes at least one. The pause doubles from
    `initial_s` to `max_s`, give or take `jitter` of it; a provider's hint makes it longer. Nothing
    is begun later than `total_s` after the first attempt of this execution.
    """

    max_attempts: int = 5
    initial_s: float = 1.0
    max_s: float = 30.0
    jitter: float = 0.25
    total_s: float = 300.0

    def pause_s(
        self, error: Exception, *, attempts: int, elapsed_s: float, chance: Chance
    ) -> float | None:
        """How long to wait after this failure; None: it stands."""
        if attempts >= self.max_attempts or not worth_repeating(error):
            return None
        pause = min(self.initial_s * 2 ** min(attempts - 1, 62), self.max_s)
        pause = max(0.0, pause * (1 + chance.uniform(-self.jitter, self.jitter)))
        hint = error.retry_after_ms if isinstance(error, TurngateError) else None
        pause = max(pause, (hint or 0) / 1000)
        return None if elapsed_s + pause > self.total_s else pause


ONCE = RetryPolicy(max_attempts=1)
"""A failure stands; the usual policy, because a task mostly knows better what to do."""


def worth_repeating(error: Exception) -> bool:
    """Whether the same attempt may go better later: what we know says so, strangers may."""
    if isinstance(error, TurngateError):
        return describe(error).retryable or error.retry_after_ms is not None
    return True
