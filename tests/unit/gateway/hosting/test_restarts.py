"""The pause before a channel is started again."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.hosting.restarts import LONGEST_S, SHORTEST_S, pause_s


@dataclass
class Edge:
    """Chance that is always at one end."""

    high: bool

    def uniform(self, a: float, b: float) -> float:
        return b if self.high else a


def test_the_bound_doubles_up_to_the_longest() -> None:
    high = Edge(high=True)
    assert [pause_s(n, high) for n in (1, 2, 3, 9)] == [1.0, 2.0, 4.0, 256.0]
    assert pause_s(10, high) == pause_s(1_000_000, high) == LONGEST_S


def test_no_chance_makes_it_spin() -> None:
    assert {pause_s(n, Edge(high=False)) for n in (1, 5, 50)} == {SHORTEST_S}
