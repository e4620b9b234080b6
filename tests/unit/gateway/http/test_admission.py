"""The gates one by one."""

import asyncio

import pytest

from gateway.core.clock import ManualClock, settle
from gateway.core.errors import Busy, RateLimited
from gateway.http.admission import REQUESTS_S, SHARE, Admission, Rates, Share
from gateway.identity.budget import Rate
from gateway.identity.principal import Principal, Scope
from gateway.telemetry.health import Health

ANN = Principal("ann", frozenset({Scope.READ, Scope.CHAT}), "k_ann")
OPERATOR = Principal("olga", frozenset({Scope.OPERATOR}), "k_olga")


class Gates:
    """Admission and what stands around it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.shed: list[str] = []
        self.waiting = 0
        self.crowded: set[str] = set()
        self.admission = Admission(
            self.health,
            self.clock,
            self.shed.append,
            rates=Rates(Rate(burst=2, per_s=4)),
            in_flight=2,
            waiting=lambda: self.waiting,
            backlog=10,
            crowds=self.crowded.__contains__,
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


async def test_who_asks_too_often_is_refused_only_while_others_wait(gates: Gates) -> None:
    """Alone a credential may have all of the loop; what it took then it owes once others come."""
    for _ in range(2 * REQUESTS_S + 1):
        gates.admission.check_request(ANN)
    gates.crowded.add(ANN.credential_id)
    with pytest.raises(RateLimited) as refused:
        gates.admission.check_request(ANN)
    assert (refused.value.retry_after_ms, gates.shed) == (2, ["requests"])
    await gates.clock.advance(1)
    gates.admission.check_request(ANN)


def test_an_operator_and_a_stranger_are_not_counted(gates: Gates) -> None:
    """A stranger's frames are bounded before, and it has nothing to ask for."""
    stranger = Principal("", frozenset(), "")
    gates.crowded |= {"", OPERATOR.credential_id}
    for _ in range(4 * REQUESTS_S):
        gates.admission.check_request(OPERATOR)
        gates.admission.check_request(stranger)
    assert gates.shed == []


async def test_reads_of_one_credential_wait_for_each_other(gates: Gates) -> None:
    """Not for those of others, and an operator's for none. Who gives up leaves the line."""
    begun: list[Share | None] = []

    async def read(principal: Principal, until: asyncio.Event) -> None:
        async with gates.admission.share(principal) as share:
            begun.append(share)
            await until.wait()

    end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        mine = [group.create_task(read(ANN, end)) for _ in range(SHARE + 2)]
        await settle()
        assert len(begun) == SHARE
        group.create_task(read(Principal("bob", frozenset(), "k_bob"), end))
        for _ in range(SHARE + 1):
            group.create_task(read(OPERATOR, end))
        await settle()
        assert (len(begun), begun.count(None)) == (2 * SHARE + 2, SHARE + 1)
        mine[-1].cancel()
        mine[0].cancel()
        await settle()
        assert len(begun) == 2 * SHARE + 3, "the one that was left has its place"
        end.set()


async def test_a_read_that_only_waits_makes_room_for_the_next(gates: Gates) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(SHARE - 1):
            group.create_task(_hold(gates, end := asyncio.Event()))
            end.set()
        async with gates.admission.share(ANN) as share:
            assert share is not None
            share.give()
            share.give()
            await asyncio.gather(*(_hold(gates, None) for _ in range(SHARE)))
            await share.take()


async def _hold(gates: Gates, until: asyncio.Event | None) -> None:
    async with gates.admission.share(ANN):
        if until is not None:
            await until.wait()
