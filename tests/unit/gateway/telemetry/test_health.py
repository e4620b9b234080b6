"""One state for everybody, without flicker."""

import pytest

from gateway.core.clock import ManualClock
from gateway.telemetry.health import (
    Health,
    Hysteresis,
    State,
    Thresholds,
    probe_lag,
)


@pytest.fixture
def health(clock: ManualClock) -> Health:
    made = Health(clock)
    made.ready()
    return made


def test_a_life_goes_one_way(clock: ManualClock) -> None:
    health = Health(clock)
    seen = [health.state]
    for step in (health.ready, health.drain, health.ready, health.stop, health.drain):
        step()
        seen.append(health.state)
    assert seen == ["starting", "ready", "draining", "draining", "stopped", "stopped"]


@pytest.mark.parametrize(
    ("step", "accepts", "invites", "ends"),
    [
        ("", False, False, False),
        ("ready", True, True, False),
        ("drain", False, False, True),
        ("stop", False, False, True),
    ],
)
def test_what_a_state_means_for_work(
    clock: ManualClock, step: str, accepts: bool, invites: bool, ends: bool
) -> None:
    health = Health(clock)
    if step:
        getattr(health, step)()
    assert (health.accepts, health.invites, health.ends) == (accepts, invites, ends)


async def test_what_is_missing_counts_once_it_was_missing_for_a_while(
    clock: ManualClock, health: Health
) -> None:
    """Work is still welcome: messages are kept until somebody can answer them."""

    async def missing(value: float, seconds: int) -> None:
        for _ in range(seconds):
            health.observe("no_model_ready", value)
            health.observe("model_not_open", 0.0)
            await clock.advance(1)

    await missing(1, 5)
    await missing(0, 1)
    assert (health.state, health.reasons) == ("ready", ())
    await missing(1, 6)
    assert (health.state, health.reasons) == ("degraded", ("no_model_ready",))
    assert health.accepts
    assert health.invites
    await missing(0, 5)
    assert health.state == "degraded"
    await missing(0, 1)
    assert health.state == "ready"


async def test_work_is_not_invited_while_nothing_can_be_kept(
    clock: ManualClock, health: Health
) -> None:
    """Each message would be refused; another gateway may have a database that works."""
    for value in (1, 0):
        for _ in range(7):
            health.observe("store_refuses", value)
            await clock.advance(1)
        assert health.invites == (not value)
        assert health.state == ("degraded" if value else "ready")
        assert health.accepts


async def test_overload_is_told_before_what_is_missing(clock: ManualClock, health: Health) -> None:
    """It is what a load balancer must know."""
    for _ in range(7):
        health.observe("store_refuses", 1)
        health.observe("loop_lag", 1)
        await clock.advance(1)
    assert (health.state, health.reasons) == ("overloaded", ("loop_lag", "store_refuses"))
    assert not health.invites


async def test_overload_takes_a_while_to_come_and_to_go(clock: ManualClock, health: Health) -> None:
    async def lag(value: float, seconds: int) -> None:
        for _ in range(seconds):
            health.observe("loop_lag", value)
            await clock.advance(1)

    await lag(2.0, 2)
    assert health.state == "ready"
    await lag(0.0, 1)
    await lag(0.6, 4)
    assert health.state == "overloaded"
    assert health.accepts
    assert not health.invites
    await lag(0.2, 10)
    assert health.state == "overloaded"
    await lag(0.05, 4)
    assert health.state == "ready"


def test_the_edge_does_not_flicker() -> None:
    measure = Hysteresis(Thresholds(enter=10, leave=5, hold_s=2))
    found = [measure.observe(10 if now % 2 else 9.9, float(now)) for now in range(20)]
    assert not any(found)
    assert [measure.observe(10, float(now)) for now in (20, 21)] == [False, True]
    found = [measure.observe(5 if now % 2 else 5.1, float(now)) for now in range(23, 40)]
    assert all(found)


def test_listeners_hear_each_state_once(health: Health) -> None:
    heard: list[State] = []
    health.listen(heard.append)
    health.observe("loop_lag", 0.0)
    health.drain()
    health.drain()
    health.stop()
    assert heard == [State.DRAINING, State.STOPPED]


async def test_the_probe_tells_how_late_the_loop_is(health: Health) -> None:
    class Late(ManualClock):
        """A clock whose sleepers wake a quarter of a second late."""

        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds + 0.25)

    clock = Late()
    lags: list[float] = []
    with pytest.raises(TimeoutError):
        async with clock.timeout(4):
            await clock.drive(probe_lag(clock, health, lags.append))
    assert lags
    assert all(abs(lag - 0.25) < 1e-6 for lag in lags)


async def test_another_reason_for_the_same_state_is_told_too(
    clock: ManualClock, health: Health
) -> None:
    """Whoever reads the log would look for the first one only."""
    told: list[tuple[str, tuple[str, ...]]] = []
    health.listen(lambda state: told.append((state, health.reasons)))
    for ill in (("loop_lag",), ("loop_lag", "in_flight"), ()):
        for _ in range(6):
            for name in ("loop_lag", "in_flight"):
                health.observe(name, float(name in ill))
            await clock.advance(1)
    assert told[:2] == [("overloaded", ("loop_lag",)), ("overloaded", ("in_flight", "loop_lag"))]
    assert told[-1] == ("ready", ())
