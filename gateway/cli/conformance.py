"""`turngate conformance`: does the server at an address speak this protocol?"""

from __future__ import annotations

import asyncio
import sys

import click

from gateway.cli.options import JSON, RUNNING_HOME
from gateway.cli.output import show
from gateway.cli.target import find
from gateway.conformance.run import Verdict, examine
from gateway.conformance.subject import Subject
from gateway.core.clock import SystemClock
from gateway.core.ids import SystemIds

FAILED = 1


def command(name: str) -> click.Command:
    """The command under its name."""
    return click.Command(
        name,
        params=[
            click.Argument(["url"], required=False),
            RUNNING_HOME,
            JSON,
        ],
        callback=_conformance,
        help="Check that the server at URL speaks this protocol; its model answers a few turns.",
    )


def _conformance(url: str | None, home: str | None, as_json: bool) -> None:
    target = find(url=url, home=home)
    verdicts = asyncio.run(_verdicts(target.url, target.token, as_json=as_json))
    failed = [verdict for verdict in verdicts if not verdict.ok]
    if as_json:
        checks = [
            {"name": v.name, "clause": v.clause, "ok": v.ok, "problem": v.problem, "ms": v.ms}
            for v in verdicts
        ]
        passed = len(verdicts) - len(failed)
        report = {"url": target.url, "passed": passed, "failed": len(failed), "checks": checks}
        show(report, as_json=True)
    else:
        click.echo(f"{len(verdicts) - len(failed)} of {len(verdicts)} checks passed")
    sys.exit(FAILED if failed else 0)


async def _verdicts(url: str, token: str, *, as_json: bool) -> list[Verdict]:
    clock = SystemClock()
    subject = Subject(url, token, SystemIds(clock).new("conformance"), clock)
    found: list[Verdict] = []
    async for verdict in examine(subject):
        found.append(verdict)
        if not as_json:
            click.echo(_line(verdict))
    return found


def _line(verdict: Verdict) -> str:
    line = f"{'ok' if verdict.ok else 'FAILED':<7}{verdict.name}  [{verdict.clause}]"
    # What a stranger's server says must not move the cursor of whoever looks at it.
    problem = "".join(char if char.isprintable() else "�" for char in verdict.problem)
    return line if verdict.ok else f"{line}\n       {problem}"
