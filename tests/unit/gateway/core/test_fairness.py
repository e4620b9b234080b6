"""Who is served next, and how much one holder may take."""

from __future__ import annotations

from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fairness import FairQueue, Shares

PATHS = st.tuples(st.sampled_from("abc"), st.sampled_from("xy"))


def queue_of(*paths: tuple[str, ...]) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for number, path in enumerate(paths):
        queue.push(f"{'/'.join(path)}{number}", path)
    return queue


def served(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() or "" for _ in range(len(queue))]


def test_names_take_turns_however_many_items_one_of_them_queued() -> None:
    queue = queue_of(*[("a",)] * 4, ("b",), ("c",), ("b",))
    assert served(queue) == ["a0", "b4", "c5", "a1", "b6", "a2", "a3"]


def test_the_next_level_takes_turns_within_a_name() -> None:
    """An agent of one principal does not take the turns of the other principal."""
    queue = queue_of(("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"), ("b", "x"))
    assert served(queue) == ["a/x0", "b/x3", "a/y2", "b/x4", "a/x1"]


def test_who_comes_again_and_again_is_served_every_other_time() -> None:
    """A name is forgotten when its queue is empty; it gains nothing by that."""
    queue = queue_of(*[("flood",)] * 5)
    order = []
    for _ in range(4):
        queue.push("ann", ("ann",))
        order += [queue.pop(), queue.pop()]
    assert order == ["flood0", "ann", "flood1", "ann", "flood2", "ann", "flood3", "ann"]


def test_what_does_not_fit_keeps_its_place_and_holds_up_no_other_name() -> None:
    queue = queue_of(("a",), ("b",), ("a",))
    assert queue.pop(lambda item: not item.startswith("a")) == "b1"
    assert queue.pop(lambda item: item == "a2") is None  # it stands behind a0
    assert served(queue) == ["a0", "a2"]


def test_what_is_removed_is_gone_and_others_stay_in_order() -> None:
    queue = queue_of(("a", "x"), ("b", "x"), ("a", "x"))
    queue.remove("a/x0", ("a", "x"))
    with pytest.raises(ValueError, match="not in deque"):
        queue.remove("a/x0", ("a", "x"))
    queue.remove("b/x1", ("b", "x"))
    assert (len(queue), served(queue)) == (1, ["a/x2"])


@given(st.lists(st.one_of(PATHS, st.none()), max_size=60))
def test_nothing_is_lost_and_each_path_is_first_in_first_out(
    steps: list[tuple[str, ...] | None],
) -> None:
    """A path is pushed, `None` pops."""
    queue: FairQueue[tuple[tuple[str, ...], int]] = FairQueue()
    model: dict[tuple[str, ...], deque[int]] = {}
    for number, path in enumerate(steps):
        if path is not None:
            queue.push((path, number), path)
            model.setdefault(path, deque()).append(number)
            continue
        item = queue.pop()
        assert (item is None) == (not any(model.values()))
        if item is not None:
            assert model[item[0]].popleft() == item[1]
    assert len(queue) == sum(map(len, model.values()))


@given(st.lists(st.one_of(st.sampled_from("abcdef"), st.none()), max_size=80))
def test_nobody_waits_for_two_items_of_the_same_other_name(steps: list[str | None]) -> None:
    """No starvation: while a name waits, any other is served once at most."""
    queue: FairQueue[str] = FairQueue()
    waiting: Counter[str] = Counter()
    passed: dict[str, Counter[str]] = {}
    for name in steps:
        if name is not None:
            queue.push(name, (name,))
            if not waiting[name]:
                passed[name] = Counter()
            waiting[name] += 1
            continue
        item = queue.pop()
        if item is None:
            continue
        waiting[item] -= 1
        passed[item] = Counter()
        for other in (each for each in waiting if waiting[each] and each != item):
            passed[other][item] += 1
            assert passed[other][item] <= 1


@pytest.mark.parametrize(("total", "alone"), [(1, 1), (2, 1), (3, 2), (4, 2), (500, 250)])
def test_one_holder_alone_gets_half(total: int, alone: int) -> None:
    shares = Shares(total)
    while shares.admits("flood"):
        shares.add("flood", 1)
    assert shares["flood"] == alone


@given(st.integers(8, 200), st.integers(1, 6))
def test_equal_holders_get_equal_shares_and_leave_one_for_the_next(total: int, count: int) -> None:
    """Up to a unit: k holders get total ÷ (k + 1) each."""
    shares, names = Shares(total), [str(number) for number in range(count)]
    while takers := [name for name in names if shares.admits(name)]:
        shares.add(min(takers, key=shares.__getitem__), 1)
    held = [shares[name] for name in names]
    assert max(held) - min(held) <= 1
    assert shares.admits("next") == (shares.used < total)
    assert min(held) >= total // (count + 1)


def test_what_is_given_back_can_be_taken_and_no_name_stays() -> None:
    shares = Shares(2)
    shares.add("a", 5)
    assert not shares.admits("a")
    assert not shares.admits("b")
    shares.add("a", -5)
    assert shares.admits("a")
    assert (shares.used, shares["a"]) == (0, 0)
