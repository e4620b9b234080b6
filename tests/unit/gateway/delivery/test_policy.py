"""The rules of sending, sending again and giving up: no clock, no channel, no loop."""

from __future__ import annotations

import pytest

from gateway.core.errors import (
    DeliveryPermanent,
    DeliveryTransient,
    DeliveryUnknown,
    TurngateError,
)
from gateway.core.ids import Chance, DeliveryId, TurnId, seeded_chance
from gateway.core.keys import Destination
from gateway.delivery.planning import Delivery
from gateway.delivery.policy import (
    ABSENT_S,
    BACKOFF_S,
    JITTER,
    UNKNOWN_ATTEMPTS,
    GiveUp,
    RetryAt,
    SendNow,
    after_failure,
    before_attempt,
)
from tests.support.standins import Middle

NOW = 1_000_000
HOUR = 3_600_000


MIDDLE = Middle()


def delivery(
    state: str = "pending",
    *,
    text: str | None = "hi",
    attempts: int = 0,
    next_at: int = 0,
    expires_at: int = NOW + HOUR,
    error: str = "",
) -> Delivery:
    return Delivery(
        delivery_id=DeliveryId("d_1"),
        key="t_1:1",
        destination=Destination("memory", "default", "ann"),
        session_key="s",
        turn_id=TurnId("t_1"),
        part=1,
        parts=1,
        text=text,
        made_at=NOW,
        expires_at=expires_at,
        state=state,
        attempts=attempts,
        next_at=next_at,
        error=error,
    )


def before(
    which: Delivery, *, present: bool = True, dedupes: bool = False
) -> SendNow | RetryAt | GiveUp:
    return before_attempt(which, now=NOW, present=present, dedupes=dedupes)


def after(
    error: Exception,
    *,
    attempts: int = 1,
    dedupes: bool = False,
    expires_at: int = NOW + HOUR,
    chance: Chance = MIDDLE,
) -> RetryAt | GiveUp:
    which = delivery(attempts=attempts, expires_at=expires_at)
    return after_failure(error, which, now=NOW, dedupes=dedupes, chance=chance)


# Before an attempt.


def test_what_is_pending_and_due_is_sent() -> None:
    """The moment named is the moment due."""
    assert before(delivery(next_at=NOW)) == SendNow()


def test_what_is_not_due_waits_until_it_is() -> None:
    """Backoff holds over restarts, because it is part of the row."""
    assert before(delivery(next_at=NOW + 1)) == RetryAt(NOW + 1)


def test_what_is_too_old_expires_with_the_reason_of_its_last_failure() -> None:
    """The operator wants to know why it was still there."""
    old = delivery(expires_at=NOW, next_at=NOW + 1)
    assert before(old) == GiveUp("expired", "its time to live is over")
    assert before(delivery(expires_at=NOW, error="refused")) == GiveUp("expired", "refused")


def test_what_was_cut_while_it_was_sent_goes_again_only_where_copies_are_dropped() -> None:
    """P2: nothing that may have been shown is resent blindly."""
    cut = delivery("sending")
    assert before(cut, dedupes=True) == SendNow()
    assert before(cut, dedupes=False) == GiveUp(
        "unknown", "the process ended while it was being sent"
    )


def test_without_its_channel_a_delivery_waits_and_is_looked_at_again() -> None:
    """It is neither dropped nor handed to another channel; nor is a doubt decided without it."""
    later = RetryAt(NOW + round(ABSENT_S * 1000))
    assert before(delivery(), present=False) == later
    assert before(delivery("sending"), present=False) == later


def test_without_its_channel_a_delivery_waits_no_longer_than_it_lives() -> None:
    """The last look is at its time to live, not up to a minute after it."""
    assert before(delivery(expires_at=NOW + 5), present=False) == RetryAt(NOW + 5)


def test_a_doubt_that_nobody_could_decide_in_time_ends_as_unknown() -> None:
    """It may have been shown, so `expired` would say too much."""
    cut = delivery("sending", expires_at=NOW)
    assert before(cut, present=False) == GiveUp("unknown", "its time to live is over")
    assert before(cut, dedupes=True) == GiveUp("unknown", "its time to live is over")


def test_a_deleted_text_is_not_sent() -> None:
    """Deleting reaches what has not left yet; what may have left is not called dead."""
    assert before(delivery(text=None)) == GiveUp("dead", "its text was deleted")
    cut = delivery("sending", text=None)
    assert before(cut, dedupes=True) == GiveUp("unknown", "its text was deleted")


# After a failure.


@pytest.mark.parametrize(
    ("attempts", "pause_s"), [*enumerate(BACKOFF_S, start=1), (5, 600.0), (50, 600.0)]
)
def test_pauses_grow_and_then_stay(attempts: int, pause_s: float) -> None:
    """5, 25, 120, 600 s and then every 600 s, as users know it from the predecessors."""
    again = after(DeliveryTransient("busy"), attempts=attempts)
    assert again == RetryAt(NOW + round(pause_s * 1000))


def test_pauses_vary_within_a_fifth() -> None:
    """Destinations that failed together do not come back together."""
    chance = seeded_chance(7)
    pauses = set()
    for _ in range(200):
        again = after(DeliveryTransient("busy"), chance=chance)
        assert isinstance(again, RetryAt)
        pauses.add(again.at - NOW)
    low, high = 5000 * (1 - JITTER), 5000 * (1 + JITTER)
    assert all(low <= pause <= high for pause in pauses)
    assert len(pauses) > 100


def test_a_destination_that_names_a_pause_is_not_asked_earlier() -> None:
    """Jitter only adds to what the destination asked for."""
    chance = seeded_chance(7)
    for _ in range(200):
        again = after(DeliveryTransient("busy", retry_after_ms=9000), chance=chance)
        assert isinstance(again, RetryAt)
        assert 9000 <= again.at - NOW <= 9000 * (1 + JITTER)


@pytest.mark.parametrize("told", [0, -5])
def test_again_at_once_is_no_reason_for_a_busy_loop(told: int) -> None:
    """Some destinations really answer `Retry-After: 0`."""
    again = after(DeliveryTransient("busy", retry_after_ms=told))
    assert isinstance(again, RetryAt)
    assert again.at - NOW >= 1000


def test_a_refusal_for_ever_is_dead_at_once() -> None:
    """Whether or not the receiver drops copies: there will be no first one."""
    assert after(DeliveryPermanent("gone")) == GiveUp("dead")
    assert after(DeliveryPermanent("gone"), dedupes=True) == GiveUp("dead")


@pytest.mark.parametrize("error", [DeliveryUnknown("?"), RuntimeError("?"), TurngateError("?")])
def test_what_may_have_been_shown_is_not_sent_again(error: Exception) -> None:
    """An error that says nothing about the outcome counts as one that leaves it open."""
    assert after(error) == GiveUp("unknown")


@pytest.mark.parametrize("error", [DeliveryUnknown("?"), RuntimeError("?")])
def test_where_copies_are_dropped_a_doubt_is_sent_again_a_few_times(error: Exception) -> None:
    """Five attempts, the predecessors' limit for errors of unknown cause."""
    for attempts in range(1, UNKNOWN_ATTEMPTS):
        assert isinstance(after(error, attempts=attempts, dedupes=True), RetryAt)
    assert after(error, attempts=UNKNOWN_ATTEMPTS, dedupes=True) == GiveUp("unknown")


def test_an_attempt_that_would_come_too_late_is_not_waited_for() -> None:
    """What is certain to expire expires now; what may have been shown stays a doubt."""
    soon = NOW + 5000
    assert after(DeliveryTransient("busy"), expires_at=soon) == GiveUp("expired")
    assert after(DeliveryUnknown("?"), expires_at=soon, dedupes=True) == GiveUp("unknown")
    assert isinstance(after(DeliveryTransient("busy"), expires_at=soon + 1), RetryAt)
