"""What a failed send leads to: the pure rules of retry, expiry and giving up.

Backoff values and the five attempts for errors of unknown cause are the predecessors' defaults,
which users know; the time to live is what keeps an hour-old answer from popping up.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.errors import DeliveryPermanent, DeliveryTransient
from gateway.core.ids import Chance

BACKOFF_S = (5.0, 25.0, 120.0, 600.0)
"""Pause after the first, second, … failed attempt; the last one repeats."""
JITTER = 0.2
"""Share by which a pause varies, so that destinations do not return in step."""
CHAT_TTL_MS = 3_600_000
"""How long an answer in a conversation is worth sending."""
SEND_S = 30.0
"""Longest one send may take; after it nobody knows whether it arrived."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Send again at this wall time, in milliseconds."""

    at: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the delivery in this state."""

    state: str


Verdict = RetryAt | GiveUp


def after_failure(
    error: Exception, *, attempts: int, now: int, expires_at: int, dedupes: bool, chance: Chance
) -> Verdict:
    """What to do after an attempt failed with `error`.

    Nothing shown: again until the time to live. Will never work: dead. Perhaps shown (also every
    error that is not typed): again where the receiver drops the second copy, else `unknown`.
    """
    if isinstance(error, DeliveryPermanent):
        return GiveUp("dead")
    if not isinstance(error, DeliveryTransient) and not dedupes:
        return GiveUp("unknown")
    told = getattr(error, "retry_after_ms", None)
    pause_s = told / 1000 if told is not None else BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
    at = now + round(pause_s * 1000 * chance.uniform(1 - JITTER, 1 + JITTER))
    return RetryAt(at) if at < expires_at else GiveUp("expired")
