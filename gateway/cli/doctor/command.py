"""`turngate doctor` itself: builds the scene, runs the checks, shows what they found."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from gateway.cli.doctor.catalog import CHECKS
from gateway.cli.doctor.check import Check, Finding, Level, Scene
from gateway.cli.doctor.running import run
from gateway.cli.options import HOME, JSON, WORKSPACE
from gateway.cli.output import show
from gateway.cli.progress import counted
from gateway.cli.target import Target, running, said_by
from gateway.cli.visible import fitted, visible
from gateway.core.clock import SystemClock
from gateway.core.errors import ConfigError
from gateway.core.terminal import wants_colour
from gateway.settings.settings import Settings, read_settings

COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def command(name: str) -> click.Command:
    """The command under its name."""
    return click.Command(
        name,
        params=[
            HOME,
            WORKSPACE,
            click.Option(["--online"], is_flag=True, help="Ask the model's provider once."),
            JSON,
        ],
        callback=_doctor,
        help="Check everything a gateway needs and suggest fixes. Ends with 1 if it would not "
        "work. Changes nothing; runs beside a gateway or without one.",
    )


def _doctor(home: str | None, workspace: str | None, online: bool, as_json: bool) -> None:
    settings, problems = read_settings(turngate_home=home, workspace_dir=workspace)
    scene = Scene(
        settings=settings,
        problems=problems,
        environ=os.environ,
        folder=Path(),
        now_s=SystemClock().now_ms() / 1000,
        target=_target(settings),
        online=online,
    )
    with counted("checking", len(CHECKS), shown=not as_json) as step:
        found = asyncio.run(run(CHECKS, scene, done=step))
    if as_json:
        rows = [
            {"check": check.name, "level": each.level, "saw": each.saw, "fix": each.fix}
            for check, each in found
        ]
        show(rows, as_json=True)
    else:
        _print(found)
    sys.exit(1 if any(each.level is Level.FAIL for _, each in found) else 0)


def _target(settings: Settings) -> Target | None:
    try:
        return running(settings)
    except ConfigError as error:  # the check of the gateway says so
        found = said_by(settings.turngate_home)
        return Target(found.url, "", found.command, str(error)) if found else None


def _print(found: list[tuple[Check, Finding]]) -> None:
    style = click.style if wants_colour(os.environ) else _plain
    width = max(len(check.name) for check, _ in found)
    for check, finding in found:
        level = style(finding.level.ljust(4), fg=COLOURS[finding.level])
        saw = fitted(visible(finding.saw), width + 8, sys.stdout)
        click.echo(f"{level}  {check.name.ljust(width)}  {saw}")
        if finding.fix:
            fix = fitted(visible(finding.fix), width + 13, sys.stdout)
            click.echo(f"{' ' * (width + 8)}{style('fix:', bold=True)} {fix}")
    counts = {level: sum(each.level is level for _, each in found) for level in Level}
    click.echo(
        f"{counts[Level.OK]} fine, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} to mend",
        err=True,
    )


def _plain(text: str, **_style: object) -> str:
    return text
