"""`turngate up`: serve until told to stop."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import click
import uvloop

from gateway.cli.holder import with_holder, with_owner
from gateway.cli.init.files import put, workspace_files
from gateway.cli.options import HOME, LOG_LEVEL, MODEL, WORKSPACE
from gateway.cli.processes import stop_with_parent, supervise
from gateway.cli.progress import FetchProgress
from gateway.cli.visible import fitted
from gateway.composition.answering import who_answers
from gateway.composition.root import Chosen
from gateway.composition.serving import serving
from gateway.core.errors import ConfigError, StoreLocked
from gateway.core.tasks import Ending, TaskOwner
from gateway.settings.settings import Settings, doubts, load_settings
from gateway.telemetry import logs
from gateway.telemetry.tasks import task_failed
from gateway.turns.lanes import Lanes

SWITCH_S = 0.0005
"""Longest the thread that writes to the database keeps the interpreter while the loop wants it. A
tenth of the usual: each write to a socket gives the interpreter away, and had to wait so long."""

GARBAGE = (2000, 10, 20)
"""After how many new objects Python looks for garbage in the young ones, and how often then in
older ones. A turn makes thousands that live for seconds: with Python's 700 a crowd was looked
through again and again, for a tenth of the processor and 100 ms at a time."""


def command(name: str) -> click.Command:
    """The command under its name."""
    return click.Command(
        name,
        params=[
            click.Option(["--host"], help="Address to listen on (TURNGATE_HOST)."),
            click.Option(["--port"], type=int, help="Port, 0 picks one (TURNGATE_PORT)."),
            WORKSPACE,
            HOME,
            MODEL,
            click.Option(["--tls-cert"], type=Path, help="Certificate (TURNGATE_TLS_CERT)."),
            click.Option(["--tls-key"], type=Path, help="Its key (TURNGATE_TLS_KEY)."),
            click.Option(
                ["--processes"], type=int, help="How many, on PostgreSQL (TURNGATE_PROCESSES)."
            ),
            LOG_LEVEL,
        ],
        callback=_up,
        help="Serve WebSocket, HTTP and probes on one port, until a signal.",
    )


def _up(workspace: str | None, **given: object) -> None:
    """Every other option is the setting of its name."""
    flags = {f"turngate_{name}": value for name, value in given.items()}
    settings = load_settings(workspace_dir=workspace, **flags)
    logs.configure(level=settings.turngate_log_level, secrets=settings.secrets())
    made = _make_workspace(settings.workspace_dir)
    try:
        if settings.turngate_processes > 1:
            listening = partial(_hints, settings, made)
            sys.exit(asyncio.run(supervise(settings, sys.argv[1:], listening=listening)))
        sys.setswitchinterval(SWITCH_S)
        gc.set_threshold(*GARBAGE)
        uvloop.run(_serve(settings, made))
    except ConfigError as error:
        raise with_holder(error, settings) from error.__cause__


async def _serve(settings: Settings, made: Sequence[Path]) -> None:
    progress = FetchProgress(sys.stderr)
    try:
        await _served(settings, progress, made)
    except StoreLocked as error:
        raise with_owner(error, settings) from error.__cause__


async def _served(settings: Settings, progress: FetchProgress, made: Sequence[Path]) -> None:
    def announce(url: str) -> None:
        progress.end()  # its bar may stand where the address belongs
        click.echo(url)

    chosen = Chosen(progress=progress)
    async with serving(settings, announce=announce, chosen=chosen) as served:
        if settings.turngate_sockets:
            stop_with_parent()
        else:
            progress.end()
            _hints(settings, made)
        tidying = TaskOwner("up", task_failed)
        tidying.start("freeze", _freeze(served.gateway.lanes), ending=Ending.CANCELLABLE)
        try:
            await served.server.asked_to_stop()
        finally:
            await tidying.close()


async def _freeze(lanes: Lanes) -> None:
    """What is loaded with the model stays for good as well: look for garbage in it once."""
    await lanes.admitted()
    gc.collect()
    gc.freeze()


def _make_workspace(workspace: Path) -> Sequence[Path]:
    """A first agent to edit, where there is nothing at all; without one a plain agent answers."""
    if workspace.exists():
        return ()
    try:
        return put(workspace_files(workspace)).made
    except ConfigError as error:
        click.echo(f"turngate: {error}; a plain agent answers", err=True)
        return ()


def _hints(settings: Settings, made: Sequence[Path]) -> None:
    """What a newcomer wants to know; stdout holds only the address."""
    who = " ".join(who_answers(settings))
    lines = [
        f"turngate {version('turngate')} runs; Ctrl-C stops it. {who}",
        '  talk to it:  make chat, or turngate chat, or turngate send "hello"',
        f"  token:       {settings.turngate_home / 'token'}, for programs",
        *(f"  agent:       {path}, new and yours to edit" for path in made[:1]),
        *(f"turngate: {doubt}" for doubt in doubts()),
    ]
    for line in lines:
        click.echo(fitted(line, 0, sys.stderr), err=True)
