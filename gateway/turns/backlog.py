"""What waits to be answered, and whether more is taken: by number, by size, by time. Pure.

A turn *waits* from the moment it could begin until it does. Time is judged as CoDel judges it: not
by how long the longest waited, which a burst decides, but by how little the luckiest did over an
interval. A principal with waiting turns is judged by their delay, every other one by the delay of
turns that came when their principal had none waiting, so one that floods delays and refuses itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.errors import Busy
from gateway.core.fairness import Shares
from gateway.runs.gate import Use

TURNS = 500
"""Turns that wait, all principals together. Each is durable, so more would wait for minutes, and
taking them in would take the time of those that are answered: without this bound, five times the
load is answered a thousandth as often."""
BYTES = 64 << 20
"""Bodies of queued messages, which are in memory: each session's mailbox is bounded by number, and
a mailbox of the largest messages has 20 MiB."""
TARGET_S = 30.0
"""Delay that is no overload: twice what a turn waits for a model that comes back."""
INTERVAL_S = 10.0
"""How long every turn must have waited longer than that: a burst is over sooner."""
RETRY_MS = 5000
"""When a sender may try again where no delay was measured."""


@dataclass(slots=True)
class QueueDelay:
    """Time in a queue over the last interval, in seconds."""

    _above_since: float | None = None
    _waited_s: float = 0.0

    def served(self, waited_s: float, now: float) -> None:
        """One left the queue after this time."""
        self._waited_s = waited_s
        if waited_s <= TARGET_S:
            self._above_since = None
        elif self._above_since is None:
            self._above_since = now

    def standing_s(self, idle_s: float, now: float) -> float:
        """The delay, when it has been too long for an interval; 0 otherwise.

        `idle_s` is how long the first in line has waited: a queue that stands still is measured so.
        """
        if self._above_since is not None and now - self._above_since >= INTERVAL_S:
            return max(self._waited_s, idle_s)
        return idle_s if idle_s >= TARGET_S + INTERVAL_S else 0.0


@dataclass(slots=True)
class _Flow:
    """The waiting turns of one principal by their keys, each with its time, oldest first."""

    turns: dict[object, float] = field(default_factory=dict)
    delay: QueueDelay = field(default_factory=QueueDelay)


class Backlog:
    """What waits in one process."""

    def __init__(self, *, turns: int = TURNS, bytes_: int = BYTES) -> None:
        self._waiting = Shares(turns)
        self._bytes = Shares(bytes_)
        self._flows: dict[str, _Flow] = {}
        self._first: set[object] = set()
        self._newcomers = QueueDelay()
        self._moved_at = 0.0

    @property
    def waiting(self) -> int:
        """How many turns wait."""
        return self._waiting.used

    def bounds(self) -> tuple[Use, Use]:
        """How far both bounds are used."""
        waiting, bytes_ = self._waiting, self._bytes
        return (
            Use("backlog", waiting.used, waiting.total, 0),
            Use("mailboxes", bytes_.used, bytes_.total, 0),
        )

    def came(self, turn: object, principal: str, now: float) -> None:
        """A turn waits from now on."""
        flow = self._flows.get(principal)
        if flow is None:
            flow = self._flows[principal] = _Flow()
            self._first.add(turn)
        if not self._waiting.used:
            self._moved_at = now
        flow.turns[turn] = now
        self._waiting.add(principal, 1)

    def left(self, turn: object, principal: str, now: float, *, begun: bool) -> None:
        """It waits no longer: it began, or it stopped waiting."""
        flow = self._flows[principal]
        waited_s = now - flow.turns.pop(turn)
        self._waiting.add(principal, -1)
        first = turn in self._first
        self._first.discard(turn)
        if begun:
            self._moved_at = now
            flow.delay.served(waited_s, now)
            if first:
                self._newcomers.served(waited_s, now)
        if not flow.turns:
            del self._flows[principal]

    def queue(self, principal: str, size: int) -> None:
        """A message of so many bytes is queued; negative: it was taken out."""
        self._bytes.add(principal, size)

    def check(self, principal: str, now: float) -> None:
        """Whether one more message of this principal is taken. Raises `Busy`."""
        if self.waiting >= self._waiting.total:
            raise Busy(
                f"{self.waiting} turns wait already, which is the maximum; nothing was accepted, "
                "send it again when some are answered",
                retry_after_ms=self._retry_ms(self._newcomers, now - self._moved_at, now),
            )
        flow = self._flows.get(principal)
        delay, idle_s = self._newcomers, now - self._moved_at if self.waiting else 0.0
        if flow is not None:
            delay, idle_s = flow.delay, now - next(iter(flow.turns.values()))
        retry_ms = self._retry_ms(delay, idle_s, now)
        if not self._waiting.admits(principal):
            raise Busy(
                f"{self._waiting[principal]} turns of this credential wait already, which is as "
                "many as it leaves for others; nothing was accepted, send it again when some are "
                "answered",
                retry_after_ms=retry_ms,
            )
        if not self._bytes.admits(principal):
            raise Busy(
                f"messages of {self._bytes[principal]} bytes of this credential wait already, of "
                f"{self._bytes.total} for all; nothing was accepted, send it again when some are "
                "answered",
                retry_after_ms=retry_ms,
            )
        late_s = delay.standing_s(idle_s, now)
        if late_s:
            raise Busy(
                f"turns wait {late_s:.0f} s before they begin; nothing was accepted, send it again "
                "later",
                retry_after_ms=retry_ms,
            )

    def _retry_ms(self, delay: QueueDelay, idle_s: float, now: float) -> int:
        return max(RETRY_MS, round(delay.standing_s(idle_s, now) * 1000))
