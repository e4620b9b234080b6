"""Who must go when there is no room, and who need not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.bounds import Limits
from gateway.http.ledger import Full, Ledger


def ledger(limits: Limits, *proxies: str) -> Ledger[int]:
    return Ledger(limits, lambda address: address in proxies)


def test_below_the_bounds_nobody_goes() -> None:
    book = ledger(Limits())
    assert [book.enter(number, "a") for number in range(10)] == [None] * 10
    assert (len(book), book.strangers) == (10, 10)


def test_the_oldest_stranger_of_the_most_crowded_address_goes() -> None:
    book = ledger(Limits(strangers=4))
    for number, address in enumerate("baaa"):
        book.enter(number, address)
    assert book.enter(9, "c") == 1
    assert len(book) == 4


def test_an_ipv6_network_has_the_bound_of_an_address() -> None:
    """A proxy is told by its own address, not by its neighbours."""
    book = ledger(Limits(per_address=2), "2001:db8:0:1::1")
    for number in range(5):
        book.enter(number, f"2001:db8::{number:x}")
        book.enter(100 + number, "2001:db8:0:1::1")
    assert sorted(book) == [3, 4, 100, 101, 102, 103, 104]


def test_whoever_is_known_stays() -> None:
    book = ledger(Limits(connections=2, strangers=2))
    book.enter(1, "a")
    book.recognise(1)
    book.enter(2, "b")
    assert book.enter(3, "c") == 2
    book.recognise(3)
    with pytest.raises(Full):
        book.enter(4, "d")
    assert len(book) == 2


def test_an_address_has_a_bound_of_its_own() -> None:
    book = ledger(Limits(per_address=2))
    book.enter(1, "a")
    book.recognise(1)
    book.enter(2, "a")
    book.enter(3, "b")
    assert book.enter(4, "a") == 2
    book.recognise(4)
    with pytest.raises(Full):
        book.enter(5, "a")
    assert book.enter(6, "b") is None


def test_a_proxy_stands_for_many() -> None:
    book = ledger(Limits(per_address=1), "p")
    assert [book.enter(number, "p") for number in range(5)] == [None] * 5


def test_leaving_or_recognising_twice_changes_nothing() -> None:
    book = ledger(Limits())
    book.enter(1, "a")
    book.recognise(1)
    book.recognise(1)
    book.leave(1)
    book.leave(1)
    book.recognise(1)
    assert (len(book), book.strangers) == (0, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "recognise", "leave"]), st.integers(0, 12)), max_size=80
    )
)
def test_the_bounds_hold_whatever_happens(steps: list[tuple[str, int]]) -> None:
    limits = Limits(connections=6, per_address=3, strangers=4)
    book = ledger(limits)
    inside: dict[int, bool] = {}
    for step, number in steps:
        address = "abc"[number % 3]
        if step == "enter" and number not in inside:
            try:
                victim = book.enter(number, address)
            except Full:
                continue
            inside[number] = False
            if victim is not None:
                assert inside.pop(victim) is False
        elif step == "recognise" and number in inside:
            book.recognise(number)
            inside[number] = True
        elif step == "leave":
            book.leave(number)
            inside.pop(number, None)
        assert set(book) == inside.keys()
        assert len(book) <= limits.connections
        assert book.strangers == list(inside.values()).count(False) <= limits.strangers
        for one in "abc":
            assert sum("abc"[n % 3] == one for n in inside) <= limits.per_address
