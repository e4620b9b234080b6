"""How long to wait before a failed step is tried again, and when not to."""

from __future__ import annotations

import pytest

from gateway.core.errors import Busy, InvalidInput, ModelFailed, StepResultTooLarge
from gateway.core.ids import seeded_chance
from gateway.runs.retry import ONCE, RetryPolicy
from tests.support.standins import Middle


def pause(
    error: Exception, attempts: int, elapsed: float = 0, policy: RetryPolicy | None = None
) -> float | None:
    return (policy or RetryPolicy()).pause_s(
        error, attempts=attempts, elapsed_s=elapsed, chance=Middle()
    )


def test_the_pause_doubles_up_to_its_bound_and_attempts_end() -> None:
    """Five attempts have four pauses between them."""
    patient = RetryPolicy(max_attempts=8, max_s=10)
    assert [pause(OSError(), n) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, None]
    assert [pause(OSError(), n, policy=patient) for n in (4, 5, 6, 7, 8)] == [8, 10, 10, 10, None]
    assert pause(OSError(), 1, policy=ONCE) is None


def test_jitter_stays_within_its_share() -> None:
    """A quarter more or less."""
    chance = seeded_chance(7)
    policy = RetryPolicy(jitter=0.25)
    found = {policy.pause_s(OSError(), attempts=1, elapsed_s=0, chance=chance) for _ in range(100)}
    assert len(found) > 50
    assert all(value is not None and 0.75 <= value <= 1.25 for value in found)


def test_a_providers_hint_makes_the_pause_longer_and_never_shorter() -> None:
    """It knows when it will be ready; it does not know how many others wait."""
    assert pause(Busy("full", retry_after_ms=9000), 1) == 9
    assert pause(Busy("full", retry_after_ms=10), 1) == 1
    assert pause(ModelFailed("rate", "slow down", retry_after_ms=5000), 1) == 5


def test_nothing_begins_after_the_total_deadline() -> None:
    """A hint longer than that is a failure now rather than later."""
    policy = RetryPolicy(total_s=10)
    assert pause(OSError(), 1, elapsed=9, policy=policy) == 1
    assert pause(OSError(), 1, elapsed=9.5, policy=policy) is None
    assert pause(Busy("full", retry_after_ms=60_000), 1, policy=policy) is None


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        (ConnectionError("reset"), True),
        (Busy("full"), True),
        (InvalidInput("no such page"), False),
        (StepResultTooLarge("5 MB"), False),
        (ModelFailed("bad_request", "no"), False),
    ],
)
def test_what_would_fail_in_the_same_way_is_not_tried_again(
    error: Exception, repeated: bool
) -> None:
    """Our own errors say so themselves; a stranger's may be luck."""
    assert (pause(error, 1) is not None) is repeated
