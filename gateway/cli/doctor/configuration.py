"""Checks of what was written down: settings, agents, routes, the address to listen on."""

from __future__ import annotations

import asyncio

from gateway.cli.doctor.check import Finding, Scene, fail, ok, warn
from gateway.composition.serving import listen_of
from gateway.composition.workspace import read_workspace
from gateway.core.errors import ConfigError
from gateway.http.listening import check_open_bind, tls_context
from gateway.settings.settings import KNOWN
from gateway.settings.sources import look


async def settings(scene: Scene) -> Finding:
    """Everything `turngate config show` would refuse."""
    if scene.problems:
        return fail(
            "; ".join(scene.problems),
            "mend these; turngate config explain NAME tells what one takes",
        )
    if doubts := look(KNOWN, environ=scene.environ, folder=scene.folder).doubts:
        return warn("; ".join(doubts), "rename it; if another program reads it, never mind")
    return ok("all of them fit")


async def workspace(scene: Scene) -> Finding:
    """Agents and routes, read as a gateway would read them."""
    folder = scene.settings.workspace_dir
    try:
        found = await asyncio.to_thread(read_workspace, scene.settings)
    except ConfigError as error:
        return fail(str(error), "mend the file, or start from a good one: turngate init")
    if found.broken and not found.agents:
        return fail(
            f"no agent can be used, so no message is answered: {'; '.join(found.problems)}",
            f"mend these in {folder}, then restart",
        )
    if found.problems:
        return warn("; ".join(found.problems), f"mend these in {folder}")
    if not found.agents:
        return warn(
            f"{folder} declares no agent; a plain one answers", "turngate init writes one to edit"
        )
    return ok(f"{folder}: {', '.join(found.agents)}; routes from {found.routes}")


async def address(scene: Scene) -> Finding:
    """Who could connect, and whether that needs a token and TLS."""
    listen = listen_of(scene.settings)
    shown = f"{', '.join(listen.hosts)} port {listen.port}"
    try:
        token = bool(scene.settings.turngate_token.get_secret_value())
        warning = check_open_bind(listen, token_was_set=token)
        await asyncio.to_thread(tls_context, listen)
    except ConfigError as error:
        return fail(str(error), "set what is missing, or TURNGATE_HOST=127.0.0.1")
    if warning:
        return warn(
            warning, "set TURNGATE_TLS_CERT and TURNGATE_TLS_KEY, or put a proxy with TLS before it"
        )
    return ok(shown + (", with TLS" if listen.tls_cert else ""))


async def discord(scene: Scene) -> Finding:
    """A token of a bot, left from another program."""
    if scene.environ.get("DISCORD_BOT_TOKEN", "").strip():
        return warn(
            "DISCORD_BOT_TOKEN is set, and this version has no Discord channel",
            "talk over the network or the terminal: turngate chat",
        )
    return ok("no token is set, none is needed")
