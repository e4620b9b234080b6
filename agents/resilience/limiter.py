"""Not asking for more than a provider said is left, or the operator said it gives a minute. Pure;
one `Room` a model at a key.

What calls take before the next answer says what is left is subtracted here. The last quarter is
kept for people: background work rests before a person would have to.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.base.models import Left

RESERVE = 0.25
"""Share of a limit that background work leaves to people."""


MINUTE_MS = 60_000


def a_minute(requests: int, tokens: int, *, now_ms: int) -> Left | None:
    """Limits of a minute that begins now, 0 for none; None without any."""
    if not requests and not tokens:
        return None
    end_ms = now_ms + MINUTE_MS
    return Left(requests or None, requests or None, end_ms, tokens or None, tokens or None, end_ms)


@dataclass(slots=True)
class Room:
    """What was left after the last answer, at `since_ms`, less what was begun since; or of what
    the operator `declared`."""

    left: Left
    since_ms: int = 0
    declared: bool = False
    requests: int = 0
    tokens: int = 0

    def begin(self, tokens: int) -> None:
        """A call leaves."""
        self.requests += 1
        self.tokens += tokens

    def over(self, now_ms: int) -> bool:
        """Whether nothing is known any more of what is left."""
        end_ms = max(self.left.requests_at_ms, self.left.tokens_at_ms)
        return not self.since_ms <= now_ms < end_ms

    def ready_ms(self, tokens: int, *, background: bool, now_ms: int, processes: int = 1) -> int:
        """When a call of so many tokens has room; a time that has passed means now.

        Of what is left each of so many `processes` takes its share: none sees what the others have
        under way.
        """
        if now_ms < self.since_ms:
            return 0  # the clock was set back: nothing is known of the limit's end any more
        left, share = self.left, RESERVE if background else 0.0
        return max(
            _full(left.requests, left.requests_of, self.requests, 1, processes, share)
            and left.requests_at_ms,
            _full(left.tokens, left.tokens_of, self.tokens, tokens, processes, share)
            and left.tokens_at_ms,
        )


def _full(
    left: int | None, of: int | None, begun: int, call: int, processes: int, share: float
) -> bool:
    """Whether there is no room for this call beside those that were begun."""
    if left is None:
        return False
    if of is not None and call * processes > of * (1 - share):
        return False  # it never fits: that is for the provider to say
    return left - (begun + call) * processes < share * (of or 0)
