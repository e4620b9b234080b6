"""Processes that say they are here, over a wire by hand."""

from __future__ import annotations

from typing import cast

from gateway.core.clock import ManualClock
from gateway.events.company import FORGOTTEN_S, MAX_OTHERS, Company
from gateway.store.base.shared import Heard, SharedStore


class Wire:
    """The words of a shared store, and nothing else of it."""

    def __init__(self) -> None:
        self.others: list[Wire] = []
        self.heard: list[Heard] = []

    def say(self, topic: str, text: str) -> None:
        for other in self.others:
            for heard in other.heard:
                heard(text)

    def hear(self, topic: str, heard: Heard) -> None:
        self.heard.append(heard)


async def test_each_counts_the_others_until_they_are_silent() -> None:
    clock, wires = ManualClock(), [Wire(), Wire()]
    wires[0].others, wires[1].others = [wires[1]], [wires[0]]
    ann, bob = (Company(cast("SharedStore", w), clock, n) for w, n in zip(wires, "ab", strict=True))
    assert ann.greet() == 1
    assert bob.greet() == 2
    assert ann.greet() == 2
    await clock.advance(FORGOTTEN_S)
    assert ann.greet() == 1


def test_a_flood_of_names_is_bounded() -> None:
    wire = Wire()
    company = Company(cast("SharedStore", wire), ManualClock(), "a")
    for number in range(2 * MAX_OTHERS):
        wire.heard[0](str(number))
    assert company.greet() == 1 + MAX_OTHERS
