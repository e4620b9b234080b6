"""`turngate status`: how the gateway is, on one screen."""

from __future__ import annotations

import click

from gateway.cli.options import rpc_command
from gateway.cli.output import EMPTY, show
from gateway.cli.target import connected

OLDER_NAMES = frozenset({"uptime_secs", "agent_count", "binding_count"})
"""Say what others say; for clients that know only them."""


def command(name: str) -> click.Command:
    """The command under its name."""
    return rpc_command(name, _status, help="Show the state of the gateway.")


async def _status(url: str | None, home: str | None, as_json: bool) -> None:
    async with connected(url, home) as client:
        found = await client.call("status")
    if not as_json:
        found = {
            name: value
            for name, value in found.items()
            if name not in OLDER_NAMES and value not in EMPTY
        }
    show(found, as_json=as_json)
