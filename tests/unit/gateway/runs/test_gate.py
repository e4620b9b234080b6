"""Who gets a scarce place: people first, background within bounds, principals in turns."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base.messages import SourceClass
from gateway.runs.gate import UNBOUNDED, Claim, Gate, GateRules, Party, Use

PERSON, NETWORK = SourceClass.PERSON, SourceClass.NETWORK
CRON, HEARTBEAT = SourceClass.CRON, SourceClass.HEARTBEAT
BEHIND = (CRON, HEARTBEAT, NETWORK)
SMALL = GateRules(3, classes=((CRON, 1), (HEARTBEAT, 1), (NETWORK, 2)))


class Queue:
    """Claims by name; `held` names the holders in the order in which they were admitted."""

    def __init__(self, rules: GateRules) -> None:
        self.gate = Gate(rules)
        self.held: list[str] = []
        self._claims: dict[str, Claim] = {}
        self._names: dict[Claim, str] = {}

    def come(
        self,
        *names: str,
        source: SourceClass = PERSON,
        principal: str = "",
        agent: str = "",
        amount: int = 1,
        alone: bool = False,
    ) -> None:
        for name in names:
            claim = Claim(Party(principal or name, agent, source), amount, alone=alone)
            self._claims[name], self._names[claim] = claim, name
            self.gate.come(claim)
            self._admit()

    def go(self, *names: str) -> None:
        for name in names:
            self.held.remove(name)
            self.gate.leave(self._claims[name])
            self._admit()

    def stop_waiting(self, name: str) -> None:
        self.gate.withdraw(self._claims[name])
        self._admit()

    def weigh(self, name: str, amount: int) -> None:
        self.gate.weigh(self._claims[name], amount)
        self._admit()

    def _admit(self) -> None:
        self.held += [self._names[claim] for claim in self.gate.admit()]


def test_a_free_place_is_taken_at_once() -> None:
    queue = Queue(SMALL)
    queue.come("ann")
    assert queue.held == ["ann"]
    assert queue.gate.use("places") == Use("places", 1, 3, 0)


def test_different_people_are_served_in_order() -> None:
    queue = Queue(SMALL)
    queue.come(*"abcdef")
    assert queue.held == ["a", "b", "c"]
    queue.go("b")
    queue.go("a", "c")
    assert queue.held == ["d", "e", "f"]


def test_one_that_queued_hundreds_delays_others_by_one() -> None:
    """Whoever floods waits behind itself."""
    queue = Queue(GateRules(1))
    queue.come(*(f"flood{number}" for number in range(300)), principal="flood")
    queue.come("ann", "bob")
    for name in ("flood0", "flood1", "ann", "bob"):
        assert queue.held == [name]
        queue.go(name)
    assert queue.held == ["flood2"]


def test_agents_of_one_principal_take_turns() -> None:
    queue = Queue(GateRules(1))
    queue.come("a0", "a1", "a2", principal="p", agent="a")
    queue.come("b0", "b1", principal="p", agent="b")
    order = []
    while queue.held:
        order += queue.held
        queue.go(queue.held[0])
    assert order == ["a0", "a1", "b0", "a2", "b1"]


def test_what_has_begun_goes_on_before_more_begins() -> None:
    """Of one agent; a crowd that begins and then waits would hold its memory all the while."""
    gate, order = Gate(GateRules(1)), list[str]()
    names = {
        Claim(Party("p"), begins=True): "begin",
        Claim(Party("p")): "go on",
        Claim(Party("p")): "go on",
        Claim(Party("q"), begins=True): "begin of another",
    }
    for claim in names:
        gate.come(claim)
    while len(order) < len(names):
        for claim in gate.admit():
            order.append(names[claim])
            gate.leave(claim)
    assert order == ["go on", "begin of another", "go on", "begin"]


def test_a_claim_enters_at_once_where_there_is_room_and_nobody_waits() -> None:
    gate = Gate(GateRules(2, shared=True))
    first, again, other = Claim(Party("p")), Claim(Party("p")), Claim(Party("q"))
    assert gate.enter(first)
    assert (first.held, gate.used) == (True, 1)
    assert not gate.enter(Claim(Party("q"), alone=True)), "one runs already"
    assert not gate.enter(again), "it would leave nothing free"
    gate.come(again)
    assert not gate.enter(other), "somebody waits"
    gate.leave(first)
    assert list(gate.admit()) == [again]


def test_people_go_before_background_that_waited_longer() -> None:
    queue = Queue(SMALL)
    queue.come(*"abc")
    queue.come("cron", source=CRON)
    queue.come("peer", source=NETWORK)
    queue.come("dora")
    queue.go("a")
    assert queue.held == ["b", "c", "dora"]
    queue.go("b")
    assert queue.held == ["c", "dora", "cron"]


def test_a_class_at_its_bound_does_not_hold_up_another() -> None:
    """The second cron job waits; the peer behind it does not."""
    queue = Queue(SMALL)
    queue.come("cron", "cron again", source=CRON, principal="p")
    queue.come("peer", source=NETWORK, principal="p")
    queue.come("heartbeat", source=HEARTBEAT, principal="p")
    assert queue.held == ["cron", "peer"]  # two in the background are enough of three
    queue.come("ann")
    queue.go("cron")
    assert queue.held == ["peer", "ann", "cron again"]


@pytest.mark.parametrize(("total", "background"), [(1, 1), (2, 1), (4, 3), (12, 9), (64, 48)])
def test_a_quarter_is_for_people_alone_and_background_has_a_place(
    total: int, background: int
) -> None:
    assert GateRules(total).background == background


@given(st.lists(st.sampled_from(list(SourceClass)), max_size=60))
def test_whatever_comes_the_bounds_hold(arrivals: list[SourceClass]) -> None:
    rules = GateRules(12)
    gate, admitted = Gate(rules), Counter[SourceClass]()
    for number, source in enumerate(arrivals):
        gate.come(Claim(Party(str(number), source=source)))
        admitted.update(claim.party.source for claim in gate.admit())
    assert admitted.total() <= rules.total
    assert sum(admitted[source] for source in BEHIND) <= rules.background
    assert all(admitted[source] <= most for source, most in rules.classes)
    assert admitted.total() + gate.waiting == len(arrivals)


def test_a_shared_gate_keeps_room_for_the_next_principal() -> None:
    queue = Queue(GateRules(8, shared=True))
    queue.come(*(f"flood{number}" for number in range(20)), principal="flood")
    assert len(queue.held) == 4
    queue.come(*(f"ann{number}" for number in range(20)), principal="ann")
    assert len(queue.held) == 6, "a third of the rest, and room is left"
    queue.come("bob")
    assert queue.held[-1] == "bob"


def test_a_gate_of_bytes_is_passed_by_one_and_corrected_later() -> None:
    """What a turn takes is known only when its transcript was read."""
    queue = Queue(GateRules(100, shared=True, classes=()))
    queue.come("a", amount=10)
    queue.weigh("a", 95)
    queue.come("b", amount=10)
    assert (queue.held, queue.gate.used) == (["a", "b"], 105)
    queue.come("c", amount=1)
    assert queue.held == ["a", "b"]
    queue.weigh("a", 20)
    assert (queue.held, queue.gate.used) == (["a", "b", "c"], 31)
    queue.go("a", "b", "c")
    assert queue.gate.used == 0


def test_one_that_must_be_alone_has_nothing_beside_it() -> None:
    """It took the process down twice: whatever it does now, it does to itself."""
    queue = Queue(GateRules(UNBOUNDED))
    queue.come("a")
    queue.come("poison", alone=True)
    queue.come("b")
    assert queue.held == ["a"]  # nobody begins any more, so that it gets its turn
    queue.go("a")
    queue.come("c")
    assert queue.held == ["poison"]
    queue.go("poison")
    assert queue.held == ["b", "c"]


def test_one_that_must_be_alone_in_the_background_lets_people_go_first() -> None:
    queue = Queue(GateRules(1))
    queue.come("a")
    queue.come("poison", source=CRON, alone=True)
    queue.come("peer", source=NETWORK)
    queue.come("b")
    queue.go("a")
    assert queue.held == ["b"]
    queue.go("b")
    assert queue.held == ["poison"]
    queue.go("poison")
    assert queue.held == ["peer"]


@pytest.mark.parametrize("source", [PERSON, CRON])
def test_one_that_must_be_alone_and_stops_waiting_lets_the_others_in(source: SourceClass) -> None:
    queue = Queue(GateRules(4))
    queue.come("a")
    queue.come("poison", source=source, alone=True)
    queue.come("b", source=source)
    queue.stop_waiting("poison")
    assert queue.held == ["a", "b"]


class Work:
    """A processor at one gate in virtual time: each holder takes a tick, in order of admission."""

    def __init__(self, places: int, arrivals: dict[int, list[str]]) -> None:
        self.done: dict[str, list[int]] = {}
        self._gate = Gate(GateRules(places))
        self._left = sum(map(len, arrivals.values()))
        self._arrivals = arrivals

    def run(self) -> None:
        now, held = 0, list[Claim]()
        while self._left:
            for name in self._arrivals.get(now, ()):
                self._gate.come(Claim(Party(name)))
            held += self._gate.admit()
            now += 1
            for claim in held[:1]:
                held.remove(claim)
                self._gate.leave(claim)
                self.done.setdefault(claim.party.principal, []).append(now)
                self._left -= 1


@given(
    st.integers(1, 8), st.integers(50, 300), st.lists(st.integers(0, 40), min_size=1, max_size=5)
)
def test_a_flood_delays_others_by_the_places_and_a_round(
    places: int, flood: int, comes: list[int]
) -> None:
    """In virtual time: those who hold a place when one comes, and one turn of each other."""
    arrivals: dict[int, list[str]] = {0: ["flood"] * flood}
    for number, at in enumerate(comes):
        arrivals.setdefault(at, []).append(f"p{number}")
    work = Work(places, arrivals)
    work.run()
    for number, at in enumerate(comes):
        (ended,) = work.done[f"p{number}"]
        assert ended - at <= places + len(comes) + 1
    assert len(work.done["flood"]) == flood, "and nobody starves"
