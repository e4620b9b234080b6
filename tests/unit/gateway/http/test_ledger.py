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
    book = ledger(Limits(strangers=4, kept=0))
    for number, address in enumerate("baaa"):
        book.enter(number, address)
    assert book.enter(9, "c") == 1
    assert len(book) == 4


def test_an_ipv6_network_has_the_bound_of_an_address() -> None:
    """A proxy is told by its own address, not by its neighbours."""
    book = ledger(Limits(per_address=2, kept=0), "2001:db8:0:1::1")
    for number in range(5):
        book.enter(number, f"2001:db8::{number:x}")
        book.enter(100 + number, "2001:db8:0:1::1")
    assert sorted(book) == [3, 4, 100, 101, 102, 103, 104]


def test_whoever_is_known_stays() -> None:
    book = ledger(Limits(connections=2, strangers=2, kept=0))
    book.enter(1, "a")
    book.recognise(1, "x")
    book.enter(2, "b")
    assert book.enter(3, "c") == 2
    book.recognise(3, "y")
    with pytest.raises(Full):
        book.enter(4, "d")
    assert len(book) == 2


def test_an_address_has_a_bound_of_its_own() -> None:
    book = ledger(Limits(per_address=2, kept=0))
    book.enter(1, "a")
    book.recognise(1, "x")
    book.enter(2, "a")
    book.enter(3, "b")
    assert book.enter(4, "a") == 2
    book.recognise(4, "z")
    with pytest.raises(Full):
        book.enter(5, "a")
    assert book.enter(6, "b") is None


def test_a_proxy_stands_for_many() -> None:
    book = ledger(Limits(per_address=1, kept=0), "p")
    assert [book.enter(number, "p") for number in range(5)] == [None] * 5


def test_leaving_or_recognising_twice_changes_nothing() -> None:
    book = ledger(Limits())
    book.enter(1, "a")
    book.recognise(1, "x")
    book.recognise(1, "x")
    book.leave(1)
    book.leave(1)
    book.recognise(1, "x")
    assert (len(book), book.strangers) == (0, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "recognise", "leave"]), st.integers(0, 12)), max_size=80
    )
)
def test_the_bounds_hold_whatever_happens(steps: list[tuple[str, int]]) -> None:
    limits = Limits(connections=6, per_address=3, strangers=4, kept=0)
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
            book.recognise(number, str(number), operator=True)
            inside[number] = True
        elif step == "leave":
            book.leave(number)
            inside.pop(number, None)
        assert set(book) == inside.keys()
        assert len(book) <= limits.connections
        assert book.strangers == list(inside.values()).count(False) <= limits.strangers
        for one in "abc":
            assert sum("abc"[n % 3] == one for n in inside) <= limits.per_address


def test_a_credential_has_a_bound_of_its_own() -> None:
    """Whatever it holds them for: a wait over HTTP is one as a socket is."""
    book = ledger(Limits(per_principal=2))
    for number in range(3):
        book.enter(number, "a")
    assert [book.recognise(number, "x") for number in (0, 1)] == [None, None]
    with pytest.raises(Full):
        book.recognise(2, "x")
    book.leave(0)
    assert book.recognise(2, "x") is None


def test_where_no_place_is_left_the_largest_holder_gives_way() -> None:
    book = ledger(Limits(per_address=4, kept=2))
    for number in range(3):
        book.enter(number, "a")
        book.recognise(number, "large")
    book.enter(3, "a")
    book.recognise(3, "small")
    book.enter(4, "a")
    assert book.recognise(4, "other") == 0, "the oldest of the largest"
    assert sorted(book) == [1, 2, 3, 4]
    book.enter(5, "a")
    with pytest.raises(Full):
        book.recognise(5, "large")


def test_an_operator_gets_in_whatever_others_hold() -> None:
    """Into a place that is kept, and nobody has to go for it."""
    book = ledger(Limits(connections=3, per_principal=3, kept=1))
    for number in range(3):
        book.enter(number, "a")
        book.recognise(number, "x")
    assert book.enter(9, "b") is None
    assert book.recognise(9, "root", operator=True) is None
    with pytest.raises(Full):
        book.enter(10, "b")


def test_another_credential_on_a_socket_takes_it_over() -> None:
    book = ledger(Limits(per_principal=1))
    book.enter(1, "a")
    book.recognise(1, "x")
    book.recognise(1, "y")
    book.enter(2, "a")
    assert book.recognise(2, "x") is None
