"""The check of the database: whole, of a schema this version knows, and in nobody else's hands."""

from __future__ import annotations

import asyncio

from gateway.app import inspect_database
from gateway.cli.doctor.check import Finding, Scene, fail, ok, warn
from gateway.core.errors import SchemaMismatch, StoreUnavailable


async def database(scene: Scene) -> Finding:
    """Opened read-only; a gateway that runs is not disturbed."""
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
    elif seen.unfinished:
        facts.append(f"{seen.unfinished} messages are taken up at the next start")
    return ok(", ".join(facts))
