"""Signals of this very process."""

import os
import signal
from collections.abc import Iterator
from itertools import product

import pytest

from gateway.core.clock import ManualClock
from gateway.http.signals import SAME_WISH_S, SIGNALS, stop_on_signals


class Heard:
    """What the handlers did, and time by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.happened: list[object] = []
        self.restore = stop_on_signals(
            self.happened.append,
            lambda: self.happened.append("hurry"),
            clock=self.clock,
            end=lambda code: self.happened.append(f"ended {code}"),
        )


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()
    yield found
    found.restore()


@pytest.mark.parametrize(("first", "second"), list(product(SIGNALS, SIGNALS)))
async def test_the_first_asks_the_second_hurries_the_third_ends(
    heard: Heard, first: signal.Signals, second: signal.Signals
) -> None:
    for number in (first, second, second):
        os.kill(os.getpid(), number)
        await heard.clock.advance(SAME_WISH_S)
    assert heard.happened == [first, "hurry", f"ended {128 + second}"]


async def test_signals_that_come_together_are_one_wish(heard: Heard) -> None:
    """`timeout` sends two, and a nervous finger more."""
    for _ in range(2):
        for number in (*SIGNALS, *SIGNALS):
            os.kill(os.getpid(), number)
            await heard.clock.advance(SAME_WISH_S / 10)
        await heard.clock.advance(SAME_WISH_S)
    assert heard.happened == [signal.SIGTERM, "hurry"]


def test_the_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    heard = Heard()
    assert [signal.getsignal(number) for number in SIGNALS] != before
    heard.restore()
    assert [signal.getsignal(number) for number in SIGNALS] == before
