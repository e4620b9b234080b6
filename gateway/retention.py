"""Forgetting what nobody will ask for again, a little at a time.

Conversations stay; the log, ended runs, live output, idempotency keys and ended deliveries and
inputs have an age. Each pass deletes in bounded pieces, so that no commit waits long behind one.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.store.base.catalog import Op
from gateway.store.base.retention import (
    PruneDeliveries,
    PruneEvents,
    PruneInputs,
    PruneKeys,
    PruneRuns,
    PruneStream,
    RaiseLogFloor,
)
from gateway.store.base.store import Store, Unit

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PIECE = 500
"""Rows a piece deletes: a few milliseconds of the writer."""
PIECES = 40
"""Pieces a pass may take of one kind; what is left waits for the next pass."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long each kind is kept."""

    events_ms: int = 7 * DAY_MS
    events: int = 1_000_000
    runs_ms: int = 30 * DAY_MS
    stream_ms: int = HOUR_MS
    keys_ms: int = DAY_MS
    ended_ms: int = 30 * DAY_MS


async def forget(store: Store, clock: Clock, keep: Keep = Keep()) -> None:
    """One pass over everything that ages."""
    now = clock.now_ms()
    kinds: tuple[tuple[Op, ...], ...] = (
        (PruneEvents(now - keep.events_ms, keep.events, PIECE), RaiseLogFloor()),
        (PruneStream(now - keep.stream_ms, PIECE),),
        (PruneRuns(now - keep.runs_ms, PIECE),),
        (PruneKeys(now - keep.keys_ms, PIECE),),
        (PruneDeliveries(now - keep.ended_ms, PIECE),),
        (PruneInputs(now - keep.ended_ms, PIECE),),
    )
    for ops in kinds:
        for _ in range(PIECES):
            receipt = await store.commit(Unit(ops))
            if receipt.touched[0] == 0:
                break
