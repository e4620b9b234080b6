"""Signals of this very process."""

import os
import signal

import pytest

from gateway.http.signals import SIGNALS, stop_on_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_asks_and_the_second_ends(number: signal.Signals) -> None:
    happened: list[object] = []
    before = signal.getsignal(number)
    with stop_on_signals(lambda: happened.append("asked"), end=happened.append):
        os.kill(os.getpid(), number)
        assert happened == ["asked"]
        os.kill(os.getpid(), number)
        # A real end would not come back.
        assert happened[:2] == ["asked", 128 + number]
    assert signal.getsignal(number) is before


def test_the_handlers_come_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ZeroDivisionError), stop_on_signals(lambda: None):
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in SIGNALS] == before
