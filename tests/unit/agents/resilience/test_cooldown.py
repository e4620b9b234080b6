"""How long a key rests, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.base.profiles import HEALTHY, Learnt, Standing
from agents.resilience import cooldown
from gateway.core.errors import ModelCategory

NOW = 1_700_000_000_000


def pause_s(standing: Standing) -> float:
    return (cooldown.ready_ms(standing, now_ms=NOW) - NOW) / 1000


def fail(
    category: ModelCategory,
    times: int = 1,
    *,
    hint_ms: int | None = None,
    alone: bool = False,
) -> Standing:
    standing = HEALTHY
    for _ in range(times):
        standing = cooldown.failed(standing, category, now_ms=NOW, hint_ms=hint_ms, alone=alone)
    return standing


@pytest.mark.parametrize(
    ("category", "first", "second", "last"),
    [
        ("rate", 5, 10, 120),
        ("overloaded", 5, 10, 120),
        ("server", 5, 10, 120),
        ("timeout", 30, 60, 300),
        ("auth", 300, 600, 3600),
        ("not_found", 300, 600, 3600),
        ("quota", 300, 600, 86_400),
    ],
)
def test_pauses_double_up_to_a_bound(
    category: ModelCategory, first: float, second: float, last: float
) -> None:
    """The table of the design."""
    assert [pause_s(fail(category, n)) for n in (1, 2, 40)] == [first, second, last]


def test_a_single_key_that_is_limited_rests_two_seconds() -> None:
    assert [pause_s(fail("rate", n, alone=True)) for n in (1, 2, 3)] == [2, 4, 8]
    assert pause_s(fail("server", alone=True)) == 5


def test_the_providers_wish_comes_first() -> None:
    assert pause_s(fail("rate", hint_ms=8000)) == 8
    assert pause_s(fail("auth", hint_ms=1000)) == 1
    assert fail("rate", hint_ms=0).until_ms == NOW


def test_a_wish_that_did_not_help_is_not_believed_twice() -> None:
    """A server that always says "retry after 0" would be asked as fast as it refuses."""
    assert pause_s(fail("rate", 2, hint_ms=0)) == 5
    assert pause_s(fail("rate", 2, hint_ms=60_000)) == 60


def test_no_wish_is_longer_than_a_day() -> None:
    assert pause_s(fail("rate", hint_ms=10**12)) == 86_400


@pytest.mark.parametrize("category", ["truncated", "bad_response", "overflow"])
def test_what_says_nothing_about_the_key_leaves_it_as_it_is(category: ModelCategory) -> None:
    assert fail(category) == HEALTHY


def test_a_success_ends_the_pause_and_keeps_the_window() -> None:
    standing = cooldown.succeeded(replace(fail("rate", 5), learnt=Learnt(4096)), now_ms=NOW)
    assert standing == Standing(ok_ms=NOW, learnt=Learnt(4096))
    assert cooldown.ready_ms(standing, now_ms=NOW) <= NOW


def test_while_one_looks_whether_it_is_back_others_wait_for_that() -> None:
    """Twelve turns that come out of one pause together would be twelve more refusals."""
    later = NOW + 6000
    standing = cooldown.probed(fail("rate"), now_ms=later)
    assert cooldown.ready_ms(standing, now_ms=later) == later + 5000


def test_one_look_in_five_seconds() -> None:
    standing = fail("auth")
    assert not cooldown.may_probe(standing, now_ms=NOW + 4999)
    assert cooldown.may_probe(standing, now_ms=NOW + 5000)
    again = cooldown.probed(standing, now_ms=NOW + 5000)
    assert not cooldown.may_probe(again, now_ms=NOW + 9999)
    assert cooldown.may_probe(again, now_ms=NOW + 10_000)


def test_a_clock_that_was_set_back_ends_every_pause() -> None:
    """An NTP step of a day would otherwise bench a key for a day."""
    assert cooldown.ready_ms(fail("quota"), now_ms=NOW - 3600_000) == 0
    assert cooldown.may_probe(fail("quota"), now_ms=NOW - 3600_000)


def test_a_clock_that_jumped_ahead_ends_the_pause_it_jumped_over() -> None:
    """A laptop that slept for three hours."""
    later = NOW + 3 * 3600_000
    assert cooldown.ready_ms(fail("auth"), now_ms=later) <= later


def test_failures_of_one_moment_count_once() -> None:
    """Ten requests that were under way together when a server fell over are one event."""
    first = cooldown.failed(HEALTHY, "server", now_ms=NOW, began_ms=NOW - 9)
    second = cooldown.failed(first, "server", now_ms=NOW + 5, began_ms=NOW - 9)
    assert second == first
    hinted = cooldown.failed(first, "rate", now_ms=NOW + 5, began_ms=NOW - 9, hint_ms=60_000)
    assert (hinted.failures, hinted.until_ms) == (1, NOW + 60_005)
    later = cooldown.failed(first, "server", now_ms=NOW + 6000, began_ms=NOW + 5500)
    assert later.failures == 2
