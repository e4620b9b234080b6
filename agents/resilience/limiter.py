"""Not asking for more than a provider said is left. Pure; one `Room` a model at a key.

What calls take before the next answer says what is left is subtracted here. The last quarter is
kept for people: background work rests before a person would have to.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.base.models import Left

RESERVE = 0.25
"""Share of a limit that background work leaves to people."""


@dataclass(slots=True)
class Room:
    """What was left after the last answer, at `since_ms`, less what was begun since."""

    left: Left
    since_ms: int = 0
    requests: int = 0
    tokens: int = 0

    def begin(self, tokens: int) -> None:
        """A call leaves."""
        self.requests += 1
        self.tokens += tokens

    def ready_ms(self, tokens: int, *, background: bool, now_ms: int, processes: int = 1) -> int:
        """When a call of so many tokens has room; a time that has passed means now.

        Of what is left each of so many `processes` takes its share: none sees what the others have
        under way.
        """
        if now_ms < self.since_ms:
            return 0  # the clock was set back: nothing is known of the limit's end any more
        left, share = self.left, RESERVE if background else 0.0
        requests = (self.requests + 1) * processes
        taken = (self.tokens + tokens) * processes
        return max(
            _wait(left.requests, left.requests_of, requests, share, left.requests_at_ms),
            _wait(left.tokens, left.tokens_of, taken, share, left.tokens_at_ms),
        )


def _wait(left: int | None, of: int | None, needed: int, share: float, at_ms: int) -> int:
    if left is None:
        return 0
    if of is not None and needed > of * (1 - share):
        return 0  # it never fits: that is for the provider to say
    return at_ms if left - needed < share * (of or 0) else 0
