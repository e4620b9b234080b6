"""The use cases of conversations in one place: what every surface is handed."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.conversations.asking import Asking
from gateway.conversations.branching import Branching
from gateway.conversations.changes import Changes
from gateway.conversations.compacting import Compacting
from gateway.conversations.explaining import Explaining
from gateway.conversations.lifecycle import Beginnings, Lifecycle
from gateway.conversations.ownership import Ownership
from gateway.conversations.reading import Reading
from gateway.conversations.saving import Saving
from gateway.core.clock import Clock
from gateway.core.ids import Ids
from gateway.events.log import EventLog
from gateway.intake.intake import Intake
from gateway.routing.router import Router
from gateway.sessions.live import LiveSessions
from gateway.store.base.store import Store
from gateway.turns.lanes import Lanes
from gateway.turns.waiting import TurnWaiters


@dataclass(frozen=True, slots=True)
class Conversations:
    """See the module; `close` waits for changes that were begun."""

    asking: Asking
    reading: Reading
    lifecycle: Lifecycle
    branching: Branching
    saving: Saving
    compacting: Compacting
    explaining: Explaining
    ownership: Ownership
    waiters: TurnWaiters
    changes: Changes

    async def close(self) -> None:
        await self.changes.close()


def conversations(
    *,
    store: Store,
    clock: Clock,
    ids: Ids,
    router: Router,
    intake: Intake,
    lanes: Lanes,
    live: LiveSessions,
    log: EventLog,
) -> Conversations:
    """The use cases over these parts."""
    ownership, waiters, changes = Ownership(store), TurnWaiters(store), Changes(store, live)
    beginnings = Beginnings(store, clock, ids, router)
    asking = Asking(intake, waiters, lanes, ownership, clock)
    return Conversations(
        asking=asking,
        reading=Reading(store, ownership, waiters, lanes),
        lifecycle=Lifecycle(changes, ownership, beginnings, log),
        branching=Branching(store, ids, changes, ownership, beginnings),
        saving=Saving(store, clock, ids, ownership),
        compacting=Compacting(store, ownership, asking),
        explaining=Explaining(store, ownership),
        ownership=ownership,
        waiters=waiters,
        changes=changes,
    )
