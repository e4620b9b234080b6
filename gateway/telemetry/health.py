"""How the gateway is: one state that probes, metrics, methods and pages all show.

starting → ready ⇄ degraded ⇄ overloaded → draining → stopped

Pure: facts and a monotonic time go in, a state comes out. Whatever may flicker has two thresholds
and a time to hold, so that a load at the edge does not switch readiness each second. The probe of
the loop's lag at the end is the only task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.clock import Clock


class State(StrEnum):
    """In the order of life; the three in the middle follow each other, the last two end it."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    """Something is missing that keeps messages or answers them; who asks is told what."""
    OVERLOADED = "overloaded"
    """Works on what it has; new work is better sent elsewhere or later."""
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A measure is too high from `enter` on and fine again at `leave`, each for `hold_s`."""

    enter: float
    leave: float
    hold_s: float


LAG = Thresholds(enter=0.5, leave=0.1, hold_s=3.0)
"""Seconds the loop is late: at half a second people notice, and one slow call is no overload."""
IN_FLIGHT = Thresholds(enter=1.0, leave=0.8, hold_s=2.0)
"""Share of the requests that may be worked on at once."""
DISK = Thresholds(enter=1.0, leave=0.5, hold_s=2.0)
"""What must stay free, as a share of what is: it is let in again at twice the room."""
MISSING = Thresholds(enter=1.0, leave=0.0, hold_s=5.0)
"""1 while something is missing: a key that rests for a moment is no reason to wake anybody."""
LOST = Thresholds(enter=1.0, leave=0.0, hold_s=0.0)
"""1 while no agent can be used, or a file that is written is not in its place: no load makes either
look so, and neither passes by itself."""

OVERLOADS = {"loop_lag": LAG, "in_flight": IN_FLIGHT, "disk_low": DISK}
KEEPS_NOTHING = frozenset(("no_agent", "store_lost", "store_refuses", "store_stuck"))
"""Without a model messages are kept until there is one; in these they are not even kept."""
DEGRADES = dict.fromkeys(("model_not_open", "no_model_ready", *KEEPS_NOTHING), MISSING) | {
    "no_agent": LOST,
    "store_lost": LOST,
}
REASONS = OVERLOADS | DEGRADES


class Hysteresis:
    """One measure with hysteresis."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._high = False
        self._crossed_at: float | None = None

    def observe(self, value: float, now: float) -> bool:
        """Whether the measure counts as too high."""
        limits = self._thresholds
        crossing = value > limits.leave if self._high else value >= limits.enter
        if crossing == self._high:
            self._crossed_at = None
        elif self._crossed_at is None:
            self._crossed_at = now
        if self._crossed_at is not None and now - self._crossed_at >= limits.hold_s:
            self._high = not self._high
            self._crossed_at = None
        return self._high


class Health:
    """The one state; only the root moves it along, anybody may report facts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._phase = State.STARTING
        self._measures = {name: Hysteresis(at) for name, at in REASONS.items()}
        self._high: set[str] = set()
        self._listeners: list[Callable[[State], None]] = []
        self._told: tuple[State, tuple[str, ...]] = (State.STARTING, ())

    # --- what it is ------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The word for it."""
        if self._phase is not State.READY:
            return self._phase
        if self._high:
            return State.OVERLOADED if self._high & OVERLOADS.keys() else State.DEGRADED
        return State.READY

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is degraded or overloaded, in alphabetical order."""
        return tuple(sorted(self._high))

    @property
    def accepts(self) -> bool:
        """Whether new work is taken at all; an overloaded gateway still takes what fits."""
        return self._phase is State.READY

    @property
    def ends(self) -> bool:
        """Whether it is stopping, or has stopped."""
        return self._phase in (State.DRAINING, State.STOPPED)

    @property
    def invites(self) -> bool:
        """Whether new work should be sent here: what a load balancer asks."""
        welcome = self.state in (State.READY, State.DEGRADED)
        return welcome and not KEEPS_NOTHING & self._high

    def listen(self, listener: Callable[[State], None]) -> None:
        """Call with each new state, or the old one for other reasons, when that comes to light."""
        self._listeners.append(listener)

    # --- facts -----------------------------------------------------------------------------------

    def ready(self) -> None:
        """Turns are accepted from now on."""
        if self._phase is State.STARTING:
            self._move(State.READY)

    def drain(self) -> None:
        """Nothing new is accepted any more."""
        if self._phase is not State.STOPPED:
            self._move(State.DRAINING)

    def stop(self) -> None:
        """Everything has ended."""
        self._move(State.STOPPED)

    def observe(self, measure: str, value: float) -> None:
        """A fresh value of `loop_lag` (seconds), `in_flight` (share of the most), `disk_low` (what
        must be free by what is), or 1 for one of `DEGRADES` that holds and 0 for one that does
        not."""
        if self._measures[measure].observe(value, self._clock.monotonic()):
            self._high.add(measure)
        else:
            self._high.discard(measure)
        self._tell()

    def _move(self, phase: State) -> None:
        self._phase = phase
        self._tell()

    def _tell(self) -> None:
        state = self.state
        told = (state, () if self.ends else self.reasons)
        if told != self._told:
            self._told = told
            for listener in tuple(self._listeners):
                listener(state)


PROBE_S = 1.0
"""Between two looks at the loop: often enough to be believed, too seldom to cost."""


async def probe_lag(
    clock: Clock, health: Health, on_lag: Callable[[float], None], *, every_s: float = PROBE_S
) -> None:
    """Measure until cancelled how late the loop wakes a sleeper; cancelling ends it."""
    while True:
        before = clock.monotonic()
        await clock.sleep(every_s)
        lag = max(0.0, clock.monotonic() - before - every_s)
        on_lag(lag)
        health.observe("loop_lag", lag)
