"""Deletion of expired data in small batches.

Conversations stay; the log, ended runs, live output, idempotency keys and ended deliveries and
inputs have an age, and words live as long as something points at them. A pass deletes in bounded
pieces with pauses in between, so that no commit waits long behind it, and goes on until nothing is
left that is due: it keeps up with any load.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.store.base.catalog import Op
from gateway.store.base.retention import (
    ContentPage,
    PruneBlobs,
    PruneContent,
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
PAUSE_S = 0.05
"""Between two pieces: 10 000 rows a second are more than are ever written."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long each kind is kept."""

    events_ms: int = 7 * DAY_MS
    events: int = 1_000_000
    runs_ms: int = 30 * DAY_MS
    stream_ms: int = HOUR_MS
    keys_ms: int = DAY_MS
    ended_ms: int = 30 * DAY_MS


async def forget(store: Store, clock: Clock, keep: Keep) -> None:
    """One pass over everything that ages.

    Raises `StoreUnavailable`. Cancelled or failed, what is deleted is deleted and the rest waits
    for the next pass.
    """
    now = clock.now_ms()
    kinds: tuple[tuple[Op, ...], ...] = (
        (PruneEvents(now - keep.events_ms, keep.events, PIECE), RaiseLogFloor()),
        (PruneStream(now - keep.stream_ms, PIECE),),
        (PruneRuns(now - keep.runs_ms, PIECE),),
        (PruneKeys(now - keep.keys_ms, PIECE),),
        (PruneDeliveries(now - keep.ended_ms, PIECE),),
        (PruneInputs(now - keep.ended_ms, PIECE),),
        (PruneBlobs(PIECE),),
    )
    for ops in kinds:
        while (await store.commit(Unit(ops))).touched[0] >= PIECE:
            await clock.sleep(PAUSE_S)
    await _forget_contents(store, clock)


async def _forget_contents(store: Store, clock: Clock) -> None:
    """Words of inputs and answers that are forgotten themselves, and are in no transcript."""
    after = ""
    while True:
        page = await store.read(ContentPage(after, PIECE))
        gone = tuple(PruneContent(row.content_id) for row in page if not row.used)
        if gone:
            await store.commit(Unit(gone))
        if len(page) < PIECE:
            return
        after = page[-1].content_id
        await clock.sleep(PAUSE_S)
