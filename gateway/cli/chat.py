"""`turngate chat`: the terminal as a channel.

Attaches to the gateway that runs on this home. Without one it runs its own, to which other
terminals attach; the next of them takes it over when this one leaves.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from channels.base.channel import Terminal
from channels.base.messages import TurnEnd
from gateway.cli.attached import Attached
from gateway.cli.ends import Ends
from gateway.cli.hosting import AGAIN_S, COMMAND, hosting, take_over, tell_of_others
from gateway.cli.options import HOME, LOG_LEVEL, MODEL, WORKSPACE
from gateway.cli.target import Target, running
from gateway.client import Client
from gateway.composition.answering import who_answers
from gateway.composition.channels import open_terminal
from gateway.composition.serving import Served
from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import GatewayUnreachable, StoreLocked, TurngateError
from gateway.http.signals import stop_on_signals
from gateway.settings.settings import Settings, doubts, load_settings
from gateway.telemetry import logs

INTERRUPTED = 130
FAILED = 1
PATIENCE_S = 10.0
"""How long another process may own the database and answer nobody: it starts, or ends."""
HINTS = "/help lists the commands, /quit ends."

Step = Callable[[], Coroutine[Any, Any, None]]


def command(name: str) -> click.Command:
    """The command under its name."""
    return click.Command(
        name,
        params=[
            click.Option(["--json", "as_json"], is_flag=True, help="Speak NDJSON."),
            WORKSPACE,
            HOME,
            MODEL,
            LOG_LEVEL,
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
    for doubt in doubts():
        click.echo(f"turngate: {doubt}", err=True)
    sys.exit(asyncio.run(_talk(settings, as_json=as_json)))


@dataclass(frozen=True, slots=True)
class Sitting:
    """A terminal, and what signals set."""

    settings: Settings
    terminal: Terminal
    clock: Clock
    greets: bool
    stop: asyncio.Event
    hurry: asyncio.Event


async def _talk(settings: Settings, *, as_json: bool) -> int:
    loop, clock = asyncio.get_running_loop(), SystemClock()
    person = sys.stdin.isatty()
    sitting = Sitting(
        settings,
        open_terminal(as_json=as_json),
        clock,
        person and not as_json,
        asyncio.Event(),
        asyncio.Event(),
    )
    signalled = 0

    def interrupt(number: int) -> None:
        nonlocal signalled
        signalled = number
        loop.call_soon_threadsafe(sitting.stop.set)

    def hurry() -> None:
        loop.call_soon_threadsafe(sitting.hurry.set)

    stop_on_signals(interrupt, hurry, clock=clock)
    failed = await _sit_down(sitting)
    if signalled:
        return INTERRUPTED if signalled == signal.SIGINT else 0
    # A person has read what went wrong; a script asks the exit code.
    return FAILED if failed and not person else 0


async def _sit_down(sitting: Sitting) -> bool:
    """Talk over the gateway of this home, whoever runs it; whether something was not answered."""
    until = sitting.clock.monotonic() + PATIENCE_S
    while True:
        async with AsyncExitStack() as stack:
            target = running(sitting.settings)
            client = await _client(target, stack) if target is not None else None
            if target is not None and client is not None:
                return await _attached(sitting, target, client)
            tell_of_others(sitting.settings)
            host = hosting(sitting.settings, hurry=sitting.hurry, channels=[sitting.terminal])
            try:
                served = await stack.enter_async_context(host)
            except StoreLocked:  # somebody begins to serve, or has not quite ended
                if sitting.stop.is_set() or sitting.clock.monotonic() > until:
                    raise
            else:
                return await _alone(sitting, served)
        await sitting.clock.sleep(AGAIN_S)


async def _client(target: Target, stack: AsyncExitStack) -> Client | None:
    """A client of a gateway; none where its file is a leftover."""
    try:
        return await stack.enter_async_context(
            Client(target.url, target.token, name="turngate-chat")
        )
    except GatewayUnreachable:
        return None


async def _attached(sitting: Sitting, target: Target, client: Client) -> bool:
    """Over a gateway that runs elsewhere, or here once the terminal that ran it has left."""

    async def tell(end: TurnEnd) -> None:
        await ends.tell(end)

    attached = Attached(client, sitting.terminal, tell)
    ends = Ends(attached, sitting.terminal)
    beside: list[Step] = [attached.listen]
    if target.command == COMMAND:
        beside.append(
            partial(
                take_over,
                sitting.settings,
                client,
                target.url,
                clock=sitting.clock,
                hurry=sitting.hurry,
                taken=partial(_say, sitting, "The other terminal has left; this one goes on."),
            )
        )
    _say(sitting, f"A gateway runs on this home and answers; {HINTS}")
    try:
        await _converse(sitting, partial(sitting.terminal.run, ends), attached.idle, beside)
    finally:
        await sitting.terminal.close()
    return ends.failed


async def _alone(sitting: Sitting, served: Served) -> bool:
    """Over a gateway in this process, which hands its answers to the terminal by itself."""
    gateway, gave_up = served.gateway, False

    async def end_with_it() -> None:
        nonlocal gave_up
        try:
            await served.server.asked_to_stop()
        except TurngateError as error:
            gave_up = True
            click.echo(f"turngate: {error}", err=True)
            sitting.stop.set()

    ends = Ends(gateway.intake, sitting.terminal, gateway.conversations.waiters.ended)

    async def idle() -> None:
        await gateway.idle()
        await ends.told()

    async def read() -> None:
        here = sitting.terminal.name, sitting.terminal.account
        try:
            await gateway.channels.start(*here, intake=ends)
            await gateway.channels.ended(*here)
        finally:
            await gateway.channels.silence()

    _say(sitting, *who_answers(sitting.settings), HINTS)
    try:
        await _converse(sitting, read, idle, [end_with_it])
    finally:
        await ends.close()
    return ends.failed or gave_up


async def _converse(sitting: Sitting, read: Step, idle: Step, beside: Sequence[Step]) -> None:
    """Read to the end of input or to a signal; what was said is answered before the end."""
    stop = sitting.stop
    async with asyncio.TaskGroup() as group:
        helping = [group.create_task(each(), name="beside") for each in beside]
        reading = group.create_task(read(), name="terminal")
        stopping = group.create_task(stop.wait(), name="signals")
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done() and not stop.is_set():
            idling = group.create_task(idle(), name="idle")
            await asyncio.wait({idling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            idling.cancel()
        for task in (reading, stopping, *helping):
            task.cancel()


def _say(sitting: Sitting, *lines: str) -> None:
    if sitting.greets:
        for line in lines:
            click.echo(line, err=True)
