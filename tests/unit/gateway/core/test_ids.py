"""Names of things: ordered by age, never the same twice, predictable in tests."""

import re

import pytest

from gateway.core.clock import ManualClock
from gateway.core.ids import SequentialIds, SystemIds, seeded_chance, system_chance


def test_an_id_has_its_prefix_and_twenty_eight_hex_digits() -> None:
    """What it is can be read from what it is called."""
    assert re.fullmatch(r"t_[0-9a-f]{28}", SystemIds(ManualClock()).new("t"))


async def test_ids_sort_by_the_time_they_were_made() -> None:
    """A listing by id is a listing by age."""
    clock = ManualClock()
    ids = SystemIds(clock)
    made = []
    for _ in range(50):
        made.append(ids.new("t"))
        await clock.advance(0.001)
    assert made == sorted(made)


def test_ids_made_at_once_differ() -> None:
    """Sixty-four random bits beside the time."""
    ids = SystemIds(ManualClock())
    assert len({ids.new("t") for _ in range(1000)}) == 1000


@pytest.mark.parametrize("now_ms", [0, 2**48 - 1, 2**48, -1])
def test_any_wall_time_gives_an_id_of_the_same_length(now_ms: int) -> None:
    """A clock that is badly wrong costs the order, nothing else."""
    assert len(SystemIds(ManualClock(now_ms=now_ms)).new("run")) == len("run_") + 28


def test_sequential_ids_count_over_all_prefixes() -> None:
    """A test knows each before it is made."""
    ids = SequentialIds()
    assert [ids.new("t"), ids.new("r"), ids.new("t")] == ["t_1", "r_2", "t_3"]
    assert SequentialIds().new("t") == "t_1"


def test_chance_with_a_seed_repeats_itself() -> None:
    """Another seed gives other numbers; both stay within bounds."""
    first, again, other = seeded_chance(1), seeded_chance(1), seeded_chance(2)
    numbers = [first.uniform(2, 3) for _ in range(9)]
    assert numbers == [again.uniform(2, 3) for _ in range(9)]
    assert numbers != [other.uniform(2, 3) for _ in range(9)]
    assert all(2 <= number <= 3 for number in numbers)


def test_chance_without_a_seed_does_not() -> None:
    """Two sources of real chance share nothing."""
    assert [system_chance().uniform(0, 1) for _ in range(3)] != [
        system_chance().uniform(0, 1) for _ in range(3)
    ]
