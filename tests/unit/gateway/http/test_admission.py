"""The gates one by one."""

import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import Busy, RateLimited
from gateway.http.admission import Admission
from gateway.identity.budget import Rate
from gateway.telemetry.health import Health


class Gates:
    """Admission and what stands around it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.shed: list[str] = []
        self.waiting = 0
        self.admission = Admission(
            self.health,
            self.clock,
            self.shed.append,
            rate=Rate(burst=2, per_s=4),
            in_flight=2,
            waiting=lambda: self.waiting,
            backlog=10,
        )


@pytest.fixture
def gates() -> Gates:
    return Gates()


def test_no_work_before_it_is_ready_and_after_it_began_to_stop(gates: Gates) -> None:
    with pytest.raises(Busy, match="starting") as starting:
        gates.admission.check_work("k")
    assert starting.value.retry_after_ms == 5000
    gates.health.ready()
    gates.admission.check_work("k")
    gates.health.drain()
    with pytest.raises(Busy, match="draining"):
        gates.admission.check_work("k")
    assert gates.shed == ["starting", "draining"]


async def test_no_work_is_taken_while_the_disk_is_nearly_full(gates: Gates) -> None:
    """What was accepted needs the rest of it."""
    gates.health.ready()
    gates.health.observe("disk_low", 1.0)
    gates.admission.check_work("k")
    await gates.clock.advance(2)
    gates.health.observe("disk_low", 1.0)
    with pytest.raises(Busy, match="disk is nearly full"):
        gates.admission.check_work("k")
    gates.admission.check_room()
    assert gates.shed == ["disk"]


async def test_a_principal_has_a_rate_and_others_do_not_pay_for_it(gates: Gates) -> None:
    gates.health.ready()
    gates.admission.check_work("k")
    gates.admission.check_work("k")
    with pytest.raises(RateLimited) as limited:
        gates.admission.check_work("k")
    assert limited.value.retry_after_ms == 250
    gates.admission.check_work("other")
    await gates.clock.advance(0.25)
    gates.admission.check_work("k")
    assert gates.shed == ["rate"]


def test_a_refusal_by_an_earlier_gate_costs_no_budget(gates: Gates) -> None:
    for _ in range(5):
        with pytest.raises(Busy):
            gates.admission.check_work("k")
    gates.health.ready()
    gates.admission.check_work("k")
    gates.admission.check_work("k")


def test_only_so_many_are_worked_on_at_once(gates: Gates) -> None:
    with gates.admission.working(), gates.admission.working():
        with pytest.raises(Busy) as busy:
            gates.admission.check_room()
        assert busy.value.retry_after_ms == 1000
    gates.admission.check_room()
    assert gates.shed == ["in_flight"]


def test_no_work_while_too_much_waits_and_the_refusal_costs_no_budget(gates: Gates) -> None:
    """Whoever asks; what waits is durable and would wait for minutes."""
    gates.health.ready()
    gates.waiting = 10
    with pytest.raises(Busy, match="10 turns wait already") as busy:
        gates.admission.check_work("k")
    assert busy.value.retry_after_ms == 5000
    for _ in range(4):
        with pytest.raises(Busy):
            gates.admission.check_work("k")
    assert gates.admission.load() == 1.0
    gates.waiting = 9
    gates.admission.check_work("k")
    assert gates.shed == ["backlog"] * 5


def test_who_rests_leaves_room_and_comes_back_whatever_the_count(gates: Gates) -> None:
    with gates.admission.working():
        gates.admission.rest()
        with gates.admission.working(), gates.admission.working():
            gates.admission.take_back()
    assert gates.admission.load() == 1.5
    assert gates.admission.load() == 0.0


def test_a_failure_gives_its_place_back(gates: Gates) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), gates.admission.working():
            raise ZeroDivisionError
    assert gates.shed == []


def test_the_load_is_the_highest_since_it_was_asked(gates: Gates) -> None:
    with gates.admission.working(), gates.admission.working():
        pass
    assert gates.admission.load() == 1.0
    with gates.admission.working():
        assert gates.admission.load() == 0.5
        assert gates.admission.load() == 0.5
