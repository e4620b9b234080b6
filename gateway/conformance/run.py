"""Running checks one after the other: what each found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.conformance.catalog import CHECKS
from gateway.conformance.check import Check
from gateway.conformance.subject import Breach, Subject


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: nothing, or a `problem`."""

    name: str
    clause: str
    problem: str
    ms: int

    @property
    def ok(self) -> bool:
        """Whether the server does what the clause says."""
        return not self.problem


async def examine(subject: Subject, checks: Sequence[Check] = CHECKS) -> AsyncIterator[Verdict]:
    """Each verdict as it is found. Checks do not build on each other."""
    for check in checks:
        begun = subject.clock.monotonic()
        problem = await _problem(check, subject)
        took = round((subject.clock.monotonic() - begun) * 1000)
        yield Verdict(check.name, check.clause, problem, took)


async def _problem(check: Check, subject: Subject) -> str:
    try:
        await check.run(subject)
    except Breach as breach:
        return str(breach)
    # A check takes an answer apart as the protocol has it; a part that is missing is the server's.
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        return f"an answer has another shape than expected: {error!r}"
    return ""
