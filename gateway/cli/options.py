"""Options that several commands have, each with one name and one meaning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import click

JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs.")
HOME = click.Option(["--home"], help="Folder for database and token (TURNGATE_HOME).")
WORKSPACE = click.Option(["--workspace"], help="Folder with routes and agents (WORKSPACE_DIR).")
MODEL = click.Option(
    ["--model"],
    type=click.Choice(["auto", "local", "scripted", "openai"]),
    help="Which model answers (TURNGATE_MODEL).",
)
LOG_LEVEL = click.Option(
    ["--log-level"],
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much is logged to stderr (TURNGATE_LOG_LEVEL).",
)
RUNNING_HOME = click.Option(["--home"], help="Folder `up` was started with (TURNGATE_HOME).")
_URL = click.Option(["--url"], help="Address of the gateway (TURNGATE_URL).")


class Group(click.Group):
    """Commands with a whole sentence each, where click would cut it short."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].help or "") for name in self.list_commands(ctx)]
            )


def rpc_command(
    name: str,
    work: Callable[..., Coroutine[Any, Any, None]],
    *params: click.Parameter,
    help: str,
) -> click.Command:
    """A command that speaks to a gateway: `work` is given `url`, `home` and `as_json` too."""

    def run(**given: Any) -> None:
        asyncio.run(work(**given))

    return click.Command(name, params=[*params, _URL, RUNNING_HOME, JSON], callback=run, help=help)
