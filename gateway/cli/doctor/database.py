"""The check of the database: whole, of a schema this version knows, and not in use elsewhere.

PostgreSQL is asked how it is and how far away; the file of SQLite is looked at from outside.
"""

from __future__ import annotations

import asyncio

from gateway.cli.doctor.check import Finding, Scene, fail, ok, warn
from gateway.composition.store import inspect_database, inspect_shared
from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import ConfigError, SchemaMismatch, StoreUnavailable
from gateway.store.base.shared import SharedInspection

FAR_MS = 20.0
"""A round trip that is felt: a message waits for some ten of them."""
SKEW_MS = 60_000
"""Expiry goes by the clocks of the processes, leases by the database's."""


async def database(scene: Scene) -> Finding:
    """Opened read-only; a gateway that runs is not disturbed."""
    if scene.settings.postgres_url:
        return await shared(scene.settings.postgres_url, SystemClock())
    path = scene.settings.database
    if path is None:
        return warn("in memory: everything is gone when the process ends", "unset TURNGATE_STORE")
    if not path.exists():
        return ok(f"{path} will be made")
    try:
        seen = await asyncio.to_thread(inspect_database, path)
    except SchemaMismatch as error:
        return fail(str(error), "install the newer turngate again, or set another TURNGATE_HOME")
    except StoreUnavailable as error:
        return fail(str(error), f"stop the gateway, move {path} aside, and restore a backup of it")
    if seen.damage:
        return fail(
            f"{path} is damaged: {seen.damage}",
            f"stop the gateway, move {path} aside, and restore a backup of it",
        )
    if seen.holder and scene.target is None:
        return warn(
            f"{path} is held by {seen.holder}, which does not listen",
            "a turngate chat in another terminal does that; end it before turngate up",
        )
    facts = [f"{path}: schema {seen.schema}", f"{seen.size / (1 << 20):.1f} MiB"]
    facts.append("whole" if seen.checked else "too large to be checked here")
    if seen.holder:
        facts.append(f"held by {seen.holder}")
    elif seen.unfinished or seen.runs:
        left = f"{seen.unfinished} messages and {seen.runs} runs of tasks"
        facts.append(f"{left} are taken up at the next start")
    return ok(", ".join(facts))


async def shared(url: str, clock: Clock) -> Finding:
    """One connection, a few rows; no table is made."""
    try:
        seen = await inspect_shared(url, clock)
    except SchemaMismatch as error:
        return fail(str(error), "install the newer turngate again, or restore an older backup")
    except ConfigError as error:
        return fail(str(error), "mend TURNGATE_STORE, or what it names")
    except StoreUnavailable as error:
        return fail(str(error), "is the server running, and may this machine reach it?")
    return judged(seen)


def judged(seen: SharedInspection) -> Finding:
    """What an answer means."""
    facts = [f"{seen.name}: PostgreSQL {seen.server}", f"{seen.away_ms:.1f} ms away"]
    facts.append(f"schema {seen.schema}" if seen.schema else "tables will be made")
    if 0 < seen.schema < seen.newest:
        facts.append(f"brought to {seen.newest} at the next start")
    if seen.orphans:
        facts.append(f"{seen.orphans} runs of dead processes wait for one that lives")
    saw = ", ".join(facts)
    if abs(seen.ahead_ms) > SKEW_MS:
        minutes = abs(seen.ahead_ms) / 60_000
        return warn(
            f"{saw}; its clock and this one are {minutes:.0f} minutes apart",
            "set the clocks, for example: timedatectl set-ntp true",
        )
    if seen.away_ms > FAR_MS:
        return warn(saw, "each message waits for several round trips: run turngate nearer to it")
    return ok(saw)
