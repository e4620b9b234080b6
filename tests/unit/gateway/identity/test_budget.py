"""Token buckets: what is left, when it comes back, and who is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.budget import Budget, Rate


def test_a_burst_passes_and_the_next_waits_for_the_rate() -> None:
    """Three at once, then one every two seconds."""
    budget = Budget(Rate(burst=3, per_s=0.5))
    assert [budget.take("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert budget.take("a", 0.0) == 2.0
    assert budget.take("a", 2.0) == 0


def test_names_do_not_share_a_bucket() -> None:
    """One sender's flood is not another's."""
    budget = Budget(Rate(burst=1, per_s=1))
    assert budget.take("a", 0.0) == 0
    assert budget.take("b", 0.0) == 0
    assert budget.take("a", 0.0) > 0


def test_a_charge_empties_a_bucket_and_never_more() -> None:
    """A debt would lock a name out for longer than the rate says."""
    budget = Budget(Rate(burst=1, per_s=1))
    for _ in range(100):
        budget.charge("a", 0.0)
    assert budget.wait_s("a", 0.0) == 1.0


def test_the_table_of_buckets_stays_bounded() -> None:
    """Strangers cannot fill the memory with names."""
    budget = Budget(Rate(burst=1, per_s=1), max_buckets=10)
    for number in range(1000):
        budget.take(str(number), 0.0)
    assert len(budget) == 10


@given(st.lists(st.floats(0, 5), max_size=60))
def test_no_window_ever_passes_more_than_burst_and_rate_allow(pauses: list[float]) -> None:
    """The promise of a token bucket, over any history."""
    rate = Rate(burst=4, per_s=1)
    budget = Budget(rate)
    now, passed = 0.0, list[float]()
    for pause in pauses:
        now += pause
        if budget.take("a", now) == 0:
            passed.append(now)
    for first, start in enumerate(passed):
        for count, end in enumerate(passed[first:], start=1):
            assert count <= rate.burst + (end - start) * rate.per_s + 1e-6
