"""The lanes of this process by session, and how inputs leave their queues unanswered.

A lane is kept only while it has something to do: there may be a million sessions. Nothing here
starts a turn; `lane_worker` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.core.clock import Clock
from gateway.core.errors import Conflict
from gateway.events.kinds import Kind
from gateway.store.base.inputs import InputRow
from gateway.store.base.store import Store
from gateway.turns import units
from gateway.turns.lane import Lane
from gateway.turns.slots import TurnSlots


class LaneTable:
    """All lanes that have something to do."""

    def __init__(self, *, store: Store, clock: Clock, slots: TurnSlots) -> None:
        self._store = store
        self._clock = clock
        self._slots = slots
        self._lanes: dict[str, Lane] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[Lane]:
        """The lanes as they are now: a copy, because a visitor may wait and lanes come and go."""
        return iter(list(self._lanes.values()))

    @property
    def unanswered(self) -> int:
        """How many inputs are queued, and turns to be resumed."""
        return sum(len(lane.queued) + len(lane.resumable) for lane in self._lanes.values())

    @property
    def next_expiry(self) -> int | None:
        """When the first queued input expires, in milliseconds of wall time; None: none does."""
        waiting = (row for lane in self._lanes.values() for row in lane.queued)
        return min((row.expires_at for row in waiting if row.expires_at), default=None)

    def lane(self, key: str) -> Lane:
        """The lane of a session, made where there is none."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, self._slots.backlog)
        return lane

    def find(self, key: str) -> Lane | None:
        """The lane of a session that has something to do."""
        return self._lanes.get(key)

    def drop(self, lane: Lane) -> None:
        """Forget a lane that has nothing to do."""
        if lane.idle():
            self._lanes.pop(lane.key, None)

    def take_out(self, lane: Lane, turn_ids: Iterable[str]) -> None:
        """Forget queued inputs that no turn of this process will answer."""
        waited_as = lane.waits_as
        lane.take_out(turn_ids)
        if lane.waits_as != waited_as:
            # The lane waits for a slot on behalf of an input that is gone: what waits is counted,
            # and new work refused by that number, so the place in the line is given up now.
            self._slots.withdraw(lane.key)

    async def end_queued(self, row: InputRow, state: str, kind: Kind) -> None:
        """End an input that no turn has claimed; raises `Conflict` when one has."""
        await self._store.commit(units.end_queued(row, state, kind, self._clock.now_ms()))
        # Looked up after the commit: the lane may have been dropped and made again since.
        lane = self.find(row.session_key)
        if lane is not None:
            self.take_out(lane, [row.turn_id])
            self.drop(lane)

    async def expire(self, lane: Lane) -> bool:
        """End queued inputs whose time is over; whether there were any."""
        now = self._clock.now_ms()
        late = [row for row in lane.queued if row.expires_at and row.expires_at <= now]
        for row in late:
            try:
                await self.end_queued(row, "expired", Kind.INPUT_EXPIRED)
            except Conflict:
                self.take_out(lane, [row.turn_id])  # cancelled or claimed in the same moment
        return bool(late)
