"""The command line. Data goes to stdout, everything else to stderr.

Imports that cost time are inside the commands, so that `--help` and a typo answer at once.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from gateway.core.errors import TurngateError, describe

if TYPE_CHECKING:
    from gateway.config import Settings

INTERRUPTED = 130


class _Turngate(click.Group):
    """Ends every command the same way: a sentence on stderr, an exit code that means something."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TurngateError as error:
            click.echo(f"turngate: {error}", err=True)
            ctx.exit(describe(error).exit_code)


@click.group(cls=_Turngate, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("turngate"), prog_name="turngate")
def turngate() -> None:
    """A self-hosted gateway for LLM agents that never loses or repeats a turn."""


@turngate.command()
@click.option("--json", "as_json", is_flag=True, help="Speak newline-delimited JSON.")
@click.option("--workspace", help="Folder with routes.json and .agents/ (WORKSPACE_DIR).")
@click.option("--home", help="Folder for the database (TURNGATE_HOME).")
@click.option(
    "--model",
    type=click.Choice(["auto", "scripted", "openai"]),
    help="Which model answers (TURNGATE_MODEL).",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much is logged to stderr (TURNGATE_LOG_LEVEL).",
)
def chat(
    as_json: bool,
    workspace: str | None,
    home: str | None,
    model: str | None,
    log_level: str | None,
) -> None:
    """Talk to an agent in this terminal; a line in, a message out."""
    # Seconds of imports that no other command and no --help needs.
    from gateway.config import load_settings  # noqa: PLC0415
    from gateway.telemetry import logs  # noqa: PLC0415

    settings = load_settings(
        workspace_dir=workspace,
        turngate_home=home,
        turngate_model=model,
        turngate_log_level=log_level,
    )
    logs.configure(
        level=settings.turngate_log_level, secrets=[settings.llm_api_key.get_secret_value()]
    )
    sys.exit(asyncio.run(_chat(settings, as_json=as_json)))


async def _chat(settings: Settings, *, as_json: bool) -> int:
    from gateway.app import open_gateway, open_terminal  # noqa: PLC0415  # see chat

    stop = asyncio.Event()
    code = 0

    def interrupt(number: signal.Signals) -> None:
        nonlocal code
        code = INTERRUPTED if number is signal.SIGINT else 0
        stop.set()

    channel = open_terminal(as_json=as_json)
    async with open_gateway(settings, channels=[channel]) as gateway:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt, number)
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


def main() -> int:
    """Run a command; the process exits with what it returns."""
    code = turngate(standalone_mode=True)
    return int(code or 0)
