"""What is known of one session that has something to do: its queue and its turn.

State alone; `lane_worker` and `lane_upkeep` decide when something happens, `merging` what one turn
answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from channels.base.messages import SourceClass
from gateway.runs.gate import Party
from gateway.store.base.inputs import InputRow
from gateway.store.base.runs import RunRow
from gateway.turns.backlog import Backlog

ROW_BYTES = 1 << 10
"""A queued message beyond its body."""


@dataclass(slots=True, eq=False)
class Lane:
    """One session: `queued` inputs wait for the turn that holds the lane to end."""

    key: str
    backlog: Backlog
    """Where what is queued counts."""
    queued: deque[InputRow] = field(default_factory=deque)
    """Inputs that no turn answers yet, in the order in which they were accepted."""
    turn_id: str = ""
    """The turn that holds the lane: it has begun and not ended, here or in another process."""
    resumable: deque[tuple[RunRow, bool]] = field(default_factory=deque)
    """That turn when it was interrupted or has woken, and whether it has to run alone."""
    orphaned: bool = False
    """That turn is not executed here any more, and may not come back."""
    executing: str = ""
    """The turn this process executes now."""
    working: bool = False
    """A task of this process works the lane."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an orphaned turn has ended elsewhere: its lane need not wait to look."""

    @property
    def waits_as(self) -> tuple[str, ...]:
        """On whose behalf the next turn will be, as stored; empty when nothing is queued.

        A newer release may have stored a class of source that has no name here.
        """
        if not self.queued:
            return ()
        first = self.queued[0]
        return first.principal, first.agent_id, first.source

    def ready(self) -> bool:
        """Whether there is something to do now."""
        return bool(self.resumable) or self.orphaned or (bool(self.queued) and not self.turn_id)

    def idle(self) -> bool:
        """Whether nothing would be lost by forgetting the lane."""
        return not (self.queued or self.resumable or self.turn_id or self.working)

    def release(self) -> None:
        """Its turn is over."""
        self.turn_id = ""
        self.orphaned = False

    def put(self, row: InputRow) -> None:
        """Queue an input in its place; one that is there stays."""
        if any(each.turn_id == row.turn_id for each in self.queued):
            return
        self.backlog.queue(row.principal, _size(row))
        # What is taken up late, from a stopped process or after a refused claim, may be older.
        later = self.queued and self.queued[-1].ordinal > row.ordinal
        self.queued.append(row)
        if later:
            self.queued = deque(sorted(self.queued, key=lambda each: each.ordinal))

    def take_out(self, turn_ids: Iterable[str]) -> None:
        """Forget queued inputs."""
        gone = set(turn_ids)
        for row in self.queued:
            if row.turn_id in gone:
                self.backlog.queue(row.principal, -_size(row))
        self.queued = deque(row for row in self.queued if row.turn_id not in gone)


def party_of(row: InputRow) -> Party:
    """On whose behalf an input is answered."""
    return Party(row.principal, row.agent_id, SourceClass(row.source))


def _size(row: InputRow) -> int:
    return ROW_BYTES + len(row.body or "")
