"""`turngate send`: one message, one answer; the turn goes on if the wait ends."""

from __future__ import annotations

import asyncio
import sys

import click

from gateway.cli.options import rpc_command
from gateway.cli.output import say, show
from gateway.cli.progress import waited
from gateway.cli.target import connected
from gateway.wire.methods.turns import DEFAULT_WAIT_MS, MAX_WAIT_MS, OPEN_STATES

TRY_LATER = 75
FAILED = 1


def command(name: str) -> click.Command:
    """The command under its name."""
    return rpc_command(
        name,
        _send,
        click.Argument(["text"], nargs=-1, required=True),
        click.Option(["--agent", "agent_id"], help="Which agent answers."),
        click.Option(["--peer", "peer_id"], default="cli", help="Whose conversation it is."),
        click.Option(
            ["--wait", "wait_s"],
            type=click.FloatRange(0, MAX_WAIT_MS / 1000),
            default=DEFAULT_WAIT_MS / 1000,
            help="Seconds to wait at most.",
        ),
        click.Option(["--key", "idempotency_key"], help="Send again with the same key safely."),
        help="Send a message and print the answer.",
    )


async def _send(
    text: tuple[str, ...],
    agent_id: str | None,
    peer_id: str,
    wait_s: float,
    idempotency_key: str | None,
    url: str | None,
    home: str | None,
    as_json: bool,
) -> None:
    where = {"agent_id": agent_id} if agent_id else {}
    async with connected(url, home) as client:
        try:
            async with waited("waiting for the answer"):
                answer = await client.send(
                    " ".join(text),
                    wait_ms=round(wait_s * 1000),
                    idempotency_key=idempotency_key or "",
                    peer_id=peer_id,
                    **where,
                )
        except asyncio.CancelledError:  # Ctrl-C ends the wait alone
            click.echo("turngate: the turn goes on; see: turngate turns list", err=True)
            raise
    if as_json:
        show(answer.model_dump(mode="json"), as_json=True)
    elif answer.reply is not None:
        say(answer.reply)
    if answer.state in OPEN_STATES:
        far = f", {answer.position} wait before it" if answer.position else ""
        click.echo(
            f"turngate: not answered yet, and still being worked on{far}; ask again with: "
            f"turngate turns wait {answer.turn_id}",
            err=True,
        )
        sys.exit(TRY_LATER)
    if answer.state != "answered":
        if answer.reply is None:
            click.echo(f"turngate: the turn ended without an answer: {answer.state}", err=True)
        sys.exit(FAILED)
