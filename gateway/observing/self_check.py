"""Periodic self-checks (store, models, agents, disk), reported to the gateway's health.

They read facts in memory, and the room on the disk. A store that refused the last write is sent an
empty one, because it may be a long time until another part writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from gateway.core.errors import StoreUnavailable
from gateway.running import Gateway
from gateway.store.base.store import Loss, Measured, Unit
from gateway.telemetry.health import State

EVERY_S = 1.0
"""Between two looks: a state has to hold for five seconds anyway."""

STUCK_S = 2.0
"""How long a write may take before the disk, or the database, counts as hanging."""

LEAST_BYTES = 64 << 20
"""With less free SQLite cannot keep its log, nor running turns their results."""

GONE_S = 5.0
"""How long the folder of the database may be gone: a wrong `mv` is often taken back at once."""

Free = Callable[[], float]
"""Bytes that are free where the database grows; infinite where that is not known."""

log = structlog.get_logger(__name__)


def free_around(database: Path | None) -> Free:
    """The room for a database file; None where there is no file of ours."""
    return _unknown if database is None else partial(_free, database.absolute().parent)


async def watch(gateway: Gateway, free: Free) -> Loss:
    """Look until the store is lost for good, and say how; cancelling ends it."""
    gateway.health.listen(lambda state: _say(gateway, state))
    clock, gone_since = gateway.clock, None
    while True:
        await clock.sleep(EVERY_S)
        loss = lost(gateway)
        if refuses(gateway) or loss is not None:
            # A store that lost its files learns it from a write, and saves what it can then.
            with suppress(StoreUnavailable, TimeoutError):
                async with clock.timeout(STUCK_S):
                    await gateway.store.commit(Unit())
        look(gateway)
        gateway.health.observe("disk_low", LEAST_BYTES / max(1, free()))
        if loss is None or not loss.final:
            gone_since = None
        elif clock.monotonic() - (gone_since := gone_since or clock.monotonic()) >= GONE_S:
            return loss


def look(gateway: Gateway) -> None:
    """Tell its health what is missing now."""
    store, loss = gateway.store, lost(gateway)
    models = [at for info in gateway.profiles.seen() for at in info.models]
    missing = {
        "no_agent": not gateway.agents.ids(),
        "model_not_open": gateway.opening.state == "failed",
        "no_model_ready": all(at.state == "resting" for at in models),
        "store_lost": loss is not None,
        "store_refuses": loss is None and refuses(gateway),
        "store_stuck": isinstance(store, Measured) and store.stuck_s >= STUCK_S,
    }
    for name, holds in missing.items():
        gateway.health.observe(name, float(holds))


def refuses(gateway: Gateway) -> bool:
    """Whether the store did not take the last write."""
    return isinstance(gateway.store, Measured) and gateway.store.refuses


def lost(gateway: Gateway) -> Loss | None:
    """What has become of the files the store writes."""
    return gateway.store.lost if isinstance(gateway.store, Measured) else None


def _unknown() -> float:
    return float("inf")


def _free(folder: Path) -> float:
    try:  # on a local disk, where databases belong, this answers at once
        return float(shutil.disk_usage(folder).free)
    except OSError:
        return _unknown()


def _say(gateway: Gateway, state: State) -> None:
    if gateway.health.ends:
        return  # a stop has lines of its own
    tell = log.warning if state in (State.DEGRADED, State.OVERLOADED) else log.info
    tell("health.changed", state=state.value, reasons=list(gateway.health.reasons))
