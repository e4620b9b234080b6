"""`turngate chat`: the terminal as a channel.

Attaches to the gateway that runs on this home; without one it runs its own, in this process.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import click

from channels.base.channel import Channel, Intake
from gateway.app import Chosen, open_gateway, open_terminal, who_answers
from gateway.cli.attached import Attached
from gateway.cli.progress import FetchProgress
from gateway.cli.target import running
from gateway.client import Client
from gateway.config import Settings, load_settings
from gateway.core.errors import GatewayUnreachable
from gateway.telemetry import logs

INTERRUPTED = 130
HINTS = "/help lists the commands, /quit ends."

Step = Callable[[], Coroutine[Any, Any, None]]


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
                type=click.Choice(["auto", "local", "scripted", "openai"]),
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
    greets = sys.stdin.isatty() and not as_json
    async with AsyncExitStack() as stack:
        client = await _running_gateway(settings, stack)
        if client is not None:
            stack.push_async_callback(channel.close)
            if greets:
                click.echo(f"A gateway runs on this home and answers; {HINTS}", err=True)
            attached = Attached(client, channel)
            await _converse(channel, attached, attached.idle, attached.listen, stop)
        else:
            chosen = Chosen(progress=FetchProgress(sys.stderr))
            gateway = await stack.enter_async_context(
                open_gateway(settings, channels=[channel], chosen=chosen)
            )
            if greets:
                click.echo(f"{who_answers(settings)} {HINTS}", err=True)
            await _converse(channel, gateway.intake, gateway.idle, _nothing, stop)
    return code


async def _running_gateway(settings: Settings, stack: AsyncExitStack) -> Client | None:
    """The gateway that already runs on this home; none where its file is a leftover."""
    try:
        target = running(settings)
        if target is None:
            return None
        return await stack.enter_async_context(
            Client(target.url, target.token, name="turngate-chat")
        )
    except GatewayUnreachable:
        return None


async def _converse(
    channel: Channel, intake: Intake, idle: Step, listen: Step, stop: asyncio.Event
) -> None:
    """Read to the end of input or to a signal; what was said is answered before the end."""
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(listen(), name="answers")
        reading = group.create_task(channel.run(intake), name="terminal")
        stopping = group.create_task(stop.wait(), name="signals")
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done() and not stop.is_set():
            idling = group.create_task(idle(), name="idle")
            await asyncio.wait({idling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            idling.cancel()
        for task in (reading, stopping, listening):
            task.cancel()


async def _nothing() -> None:
    """A gateway in this process hands its answers to the channel by itself."""
