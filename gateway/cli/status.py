"""`turngate status`: how the gateway is, on one screen."""

from __future__ import annotations

import click

from gateway.cli.output import EMPTY, show
from gateway.cli.target import connected, speaks_rpc

OLDER_NAMES = frozenset({"uptime_secs", "agent_count", "binding_count"})
"""Say what others say; for clients that know only them."""


def command(name: str) -> click.Command:
    """The command under its name."""
    return click.Command(
        name,
        params=list(reversed(getattr(_status, "__click_params__", ()))),
        callback=_status,
        help="How the gateway is.",
    )


@speaks_rpc
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
