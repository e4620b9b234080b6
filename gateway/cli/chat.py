"""`turngate chat`: the terminal as a channel.

Attaches to the gateway that runs on this home; without one it runs its own, which listens too, so
that a second terminal finds it.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import click

from gateway.app import open_gateway, open_terminal
from gateway.config import Settings, load_settings
from gateway.telemetry import logs

INTERRUPTED = 130


def command(name: str) -> click.Command:
    """The command under its name."""
    return click.Command(
        name,
        params=[
            click.Option(["--json", "as_json"], is_flag=True, help="Speak NDJSON."),
            click.Option(["--workspace"], help="Folder with routes and agents (WORKSPACE_DIR)."),
            click.Option(["--home"], help="Folder for the database (TURNGATE_HOME)."),
            click.Option(
                ["--model"],
                type=click.Choice(["auto", "scripted", "openai"]),
                help="Which model answers (TURNGATE_MODEL).",
            ),
            click.Option(
                ["--log-level"],
                type=click.Choice(["debug", "info", "warning", "error"]),
                help="How much is logged to stderr (TURNGATE_LOG_LEVEL).",
            ),
        ],
        callback=_chat,
        help="Talk to an agent in this terminal; a line in, a message out.",
    )


def _chat(
    as_json: bool,
    workspace: str | None,
    home: str | None,
    model: str | None,
    log_level: str | None,
) -> None:
    settings = load_settings(
        workspace_dir=workspace,
        turngate_home=home,
        turngate_model=model,
        turngate_log_level=log_level,
    )
    logs.configure(level=settings.turngate_log_level, secrets=settings.secrets())
    sys.exit(asyncio.run(_talk(settings, as_json=as_json)))


async def _talk(settings: Settings, *, as_json: bool) -> int:
    stop = asyncio.Event()
    code = 0

    def interrupt(number: signal.Signals) -> None:
        nonlocal code
        code = INTERRUPTED if number is signal.SIGINT else 0
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, number)
    channel = open_terminal(as_json=as_json)
    async with open_gateway(settings, channels=[channel]) as gateway:
        if sys.stdin.isatty() and not as_json:
            _banner(settings)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(channel.run(gateway.intake), name="terminal")
            stopping = group.create_task(stop.wait(), name="signals")
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not stop.is_set():
                idle = group.create_task(gateway.idle(), name="idle")
                await asyncio.wait({idle, stopping}, return_when=asyncio.FIRST_COMPLETED)
                idle.cancel()
            reading.cancel()
            stopping.cancel()
    return code


def _banner(settings: Settings) -> None:
    if settings.uses_openai:
        who = f"{settings.llm_model} answers."
    else:
        who = (
            "The scripted model answers: no key, no network, no thought. For a real one set "
            "LLM_BASE_URL, LLM_MODEL and LLM_API_KEY."
        )
    click.echo(f"{who} /help lists the commands, /quit ends.", err=True)
