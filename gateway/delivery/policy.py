"""When a delivery is sent, sent again, or given up: the pure rules.

Backoff values and the five attempts for errors of unknown cause are the predecessors' defaults,
which users know; the time to live is what keeps an hour-old answer from popping up. Whatever may
have been shown ends as `unknown`, never as something that sounds certain.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.errors import DeliveryPermanent, DeliveryTransient, TurngateError
from gateway.core.ids import Chance
from gateway.delivery.planning import Delivery

BACKOFF_S = (5.0, 25.0, 120.0, 600.0)
"""Pause after the first, second, … failed attempt; the last one repeats."""
JITTER = 0.2
"""Share by which a pause varies, so that destinations do not return in step."""
SHORTEST_S = 1.0
"""Shortest pause, whatever a destination asks for: "again in 0 s" is no reason for a busy loop."""
UNKNOWN_ATTEMPTS = 5
"""Sends that may each have been shown; more of them say nothing new."""
ABSENT_S = 60.0
"""How often a delivery looks whether its channel runs by now."""
SEND_S = 30.0
"""Longest one send may take; after it nobody knows whether it arrived."""


@dataclass(frozen=True, slots=True)
class SendNow:
    """Its turn has come."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Look again at this wall time, in milliseconds."""

    at: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the delivery in this state; `error` says why, where the rules know it."""

    state: str
    error: str = ""


def before_attempt(
    delivery: Delivery, *, now: int, present: bool, dedupes: bool
) -> SendNow | RetryAt | GiveUp:
    """Whether to send now. `present`: its channel runs here; `dedupes`: it shows a key once.

    A delivery still marked as being sent was cut by the end of a process: it is sent again only
    where the second copy is dropped.
    """
    cut = delivery.state == "sending"
    if cut and present and not dedupes:
        return GiveUp("unknown", "the process ended while it was being sent")
    if delivery.text is None:
        return GiveUp("unknown" if cut else "dead", "its text was deleted")
    if now >= delivery.expires_at:
        reason = delivery.error or "its time to live is over"
        return GiveUp("unknown" if cut else "expired", reason)
    if not present:
        return RetryAt(min(now + round(ABSENT_S * 1000), delivery.expires_at))
    return RetryAt(delivery.next_at) if delivery.next_at > now else SendNow()


def after_failure(
    error: Exception, delivery: Delivery, *, now: int, dedupes: bool, chance: Chance
) -> RetryAt | GiveUp:
    """What to do after an attempt failed with `error`.

    Nothing shown: again until the time to live. Will never work: dead. Perhaps shown (also every
    error that is not typed): a few times more where the receiver drops the second copy, else
    `unknown`.
    """
    if isinstance(error, DeliveryPermanent):
        return GiveUp("dead")
    certain = isinstance(error, DeliveryTransient)
    if not certain and (not dedupes or delivery.attempts >= UNKNOWN_ATTEMPTS):
        return GiveUp("unknown")
    at = now + round(_pause_s(error, delivery.attempts, chance) * 1000)
    if at < delivery.expires_at:
        return RetryAt(at)
    return GiveUp("expired" if certain else "unknown")


def _pause_s(error: Exception, attempts: int, chance: Chance) -> float:
    told = error.retry_after_ms if isinstance(error, TurngateError) else None
    if told is not None:
        # Never earlier than the destination asks for.
        return max(told / 1000, SHORTEST_S) * chance.uniform(1, 1 + JITTER)
    return BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1] * chance.uniform(1 - JITTER, 1 + JITTER)
