"""The `turngate` command: its subcommands by name, loaded when they are asked for.

`--help` and a mistyped word must answer immediately, so nothing slow is imported here.
"""

from __future__ import annotations

import gc
import importlib
import sys

import click

from gateway.cli import streams
from gateway.cli.ending import INTERRUPTED, check_words, told

# name → (module, what `--help` says). A namespace of RPC methods is one line too.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("gateway.cli.init.command", "Write a first workspace and settings."),
    "doctor": ("gateway.cli.doctor.command", "Diagnose problems and suggest fixes."),
    "up": ("gateway.cli.up", "Serve: WebSocket, HTTP, probes."),
    "chat": ("gateway.cli.chat", "Talk to an agent in this terminal."),
    "send": ("gateway.cli.send", "Send one message and print the answer."),
    "status": ("gateway.cli.status", "Show the state of the gateway."),
    "sessions": ("gateway.cli.methods", "Conversations: list, history, context, reset, …"),
    "turns": ("gateway.cli.methods", "Turns: list, get, explain, cancel, …"),
    "agents": ("gateway.cli.methods", "Agents: list, register."),
    "bindings": ("gateway.cli.methods", "Route bindings: list, set, remove."),
    "routes": ("gateway.cli.methods", "Show which agent gets a message, and why."),
    "events": ("gateway.cli.events", "The event log: list, follow."),
    "runs": ("gateway.cli.runs", "Durable runs: list, start, follow, decide, retry, fork, …"),
    "deliveries": ("gateway.cli.methods", "Answers on their way: list, get, retry, purge, stats."),
    "channels": ("gateway.cli.methods", "Channels: list, status, start, stop."),
    "profiles": ("gateway.cli.methods", "API keys and their health: list, clear."),
    "models": ("gateway.cli.methods", "Models in the order they are asked for."),
    "tokens": ("gateway.cli.methods", "Credentials: create, list, revoke."),
    "model": ("gateway.cli.model", "The local model: pull, status, remove."),
    "simulate": ("gateway.cli.simulate", "Play a model server that fails on request."),
    "store": ("gateway.cli.store", "The database: check, backup, restore, migrate, copy."),
    "config": ("gateway.cli.config", "Settings: show, explain."),
    "conformance": ("gateway.cli.conformance", "Check whether a server conforms to the protocol."),
}
ALIASES = {"token": "tokens"}


class Turngate(click.Group):
    """Loads a subcommand when it is named; ends every command with a sentence and a code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        # What is loaded stays for good. Looking for garbage in it costs a tenth of the start, and a
        # little of every later round.
        gc.disable()
        module = importlib.import_module(COMMANDS[name][0])
        gc.freeze()
        gc.enable()
        found: click.Command = module.command(name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:  # click knows what is loaded, which is nothing
            known = [*COMMANDS, *ALIASES]
            raise click.NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except click.Abort:  # click would say "Aborted!" and 1
            ctx.exit(INTERRUPTED)
        except (click.ClickException, SystemExit):
            raise
        # The one place that answers for a bug in a command: no traceback reaches a user.
        except BaseException as error:  # noqa: BLE001
            ctx.exit(told(error))


@click.group(
    cls=Turngate,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nCompletion for bash (or zsh, fish):\n"
    '  eval "$(_TURNGATE_COMPLETE=bash_source turngate)"',
)
@click.version_option(package_name="turngate", prog_name="turngate")
def turngate() -> None:
    """A self-hosted gateway for LLM agents that never loses or repeats a turn."""


def everything() -> click.Group:
    """The command with every subcommand loaded: for documentation and tests."""
    for name in COMMANDS:
        found = turngate.get_command(click.Context(turngate), name)
        if found is not None:
            turngate.commands[name] = found
    return turngate


def main() -> int:
    """Run a command; the process exits with what it returns."""
    try:
        streams.fit()
        check_words(sys.argv[1:])
        code = turngate(prog_name="turngate", standalone_mode=True)
    except BaseException as error:  # noqa: BLE001 - before or behind a command, as within one
        code = error.code if isinstance(error, SystemExit) else told(error)
    return streams.finish(code if isinstance(code, int) else 0)
