"""A gateway that a terminal runs, for itself and for those who attach to it.

It listens on this machine only, wherever there is a free port. When its terminal leaves, the next
one serves at the same address, so other terminals reconnect by themselves.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import click

from channels.base.channel import Channel
from gateway.cli.nearby import nearby
from gateway.cli.progress import FetchProgress
from gateway.cli.visible import fitted, visible
from gateway.client import Client
from gateway.composition.answering import who_answers
from gateway.composition.channels import terminal_prompt
from gateway.composition.root import Chosen
from gateway.composition.serving import Served, serving
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, StoreLocked
from gateway.core.tasks import Ending, TaskOwner
from gateway.settings.settings import Settings
from gateway.telemetry.tasks import task_failed

COMMAND = "chat"
"""What `gateway.json` says of a gateway that a terminal runs. One of `up` is nobody's to take over:
whoever keeps it running starts it again."""
AGAIN_S = 0.3
"""How soon it is tried again: another terminal was quicker, or the old one still ends."""


@asynccontextmanager
async def hosting(
    settings: Settings,
    *,
    hurry: asyncio.Event,
    channels: Sequence[Channel] = (),
    port: int = 0,
) -> AsyncIterator[Served]:
    """A gateway in this process; `hurry` makes its stop a quick one. Raises as `serving` does."""
    here = settings.model_copy(
        update={
            "turngate_host": "127.0.0.1",
            "turngate_port": port,
            "turngate_tls_cert": None,
            "turngate_tls_key": None,
        }
    )
    owner = TaskOwner("hosting", task_failed)
    try:
        async with serving(
            here,
            channels=channels,
            announce=_quietly,
            own_process=False,
            chosen=Chosen(progress=FetchProgress(sys.stderr, prompt=terminal_prompt())),
            command=COMMAND,
        ) as served:
            owner.start("hurry", _hurry(hurry, served), ending=Ending.CANCELLABLE)
            yield served
    finally:
        await owner.close()


def tell_of_others(settings: Settings) -> None:
    """Say that a gateway starts here although others run: a person may have meant one of those."""
    for other in nearby(settings):
        said = (
            f"no gateway runs for {settings.turngate_home.absolute()}, so this terminal starts "
            f"one. {' '.join(who_answers(settings))} Besides it {other.told}"
        )
        click.echo(fitted(f"turngate: {visible(said)}", 0, sys.stderr), err=True)


async def take_over(
    settings: Settings,
    client: Client,
    url: str,
    *,
    clock: Clock,
    hurry: asyncio.Event,
    taken: Callable[[], None],
) -> None:
    """Whenever nobody answers `client` at `url` any more, serve there; until cancelled."""
    while True:
        await client.offline()
        try:
            async with hosting(settings, hurry=hurry, port=urlsplit(url).port or 0):
                taken()
                await asyncio.Event().wait()
        except (StoreLocked, ConfigError):
            await clock.sleep(AGAIN_S)


async def _hurry(hurry: asyncio.Event, served: Served) -> None:
    await hurry.wait()
    served.server.hurry()


def _quietly(url: str) -> None:
    """The terminal belongs to the conversation; others find the address in the file."""
