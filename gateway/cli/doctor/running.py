"""Runs all checks side by side, each within its deadline; one that breaks is a finding too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.cli.doctor.check import Check, Finding, Scene, fail

DEADLINE_S = 15.0
"""For one check. The slowest asks a model server far away, or reads through a large database."""


async def run(
    checks: Sequence[Check],
    scene: Scene,
    *,
    done: Callable[[], None] = lambda: None,
    deadline_s: float = DEADLINE_S,
) -> list[tuple[Check, Finding]]:
    """Every finding, in the order of the checks; `done` is called as each one ends."""

    async def one(check: Check) -> tuple[Check, Finding]:
        try:
            async with asyncio.timeout(deadline_s):
                finding = await check.look(scene)
        except TimeoutError:
            finding = fail(
                f"no result within {deadline_s:g} s",
                "look at what it reads: a slow disk or network",
            )
        except Exception as error:  # noqa: BLE001 - a boundary: the other findings still matter
            finding = fail(
                f"the check itself broke: {type(error).__name__}: {error}",
                "please report this, with the output of: turngate doctor --json",
            )
        done()
        return check, finding

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(check), name=f"doctor.{check.name}") for check in checks]
    return [task.result() for task in tasks]
