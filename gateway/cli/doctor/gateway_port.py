"""Checks of the running gateway and of the port: whether it is free, else who has it."""

from __future__ import annotations

import asyncio
import errno
import socket
from importlib.metadata import version
from urllib.parse import urlsplit

from gateway.cli.doctor.check import Finding, Scene, fail, ok, warn
from gateway.client import Client
from gateway.core.errors import TurngateError
from gateway.http.listeners import owner
from gateway.wire.methods.status import Status

PATIENCE_S = 2.0
"""One on this machine answers within milliseconds."""

FIXES = {
    "no_agent": "mend the agents of the workspace, then restart; or: turngate agents register",
    "no_model_ready": "turngate profiles shows which key rests until when, and why",
    "store_lost": "put the files of the database back in place; its log says what it saved",
    "store_refuses": "look at the disk, or at the database server",
    "store_stuck": "look at the disk, or at the database server",
    "disk_low": "make room on the disk of the database",
    "loop_lag": "look for what keeps this machine busy",
    "in_flight": "send less, or wait until some is answered",
}
"""What to do about a reason that a gateway gives for its state."""


async def gateway(scene: Scene) -> Finding:
    """By RPC, as any command would ask."""
    target = scene.target
    if target is None:
        return ok("none is running on this home")
    if not target.token:
        return fail(
            f"{target.url} is one, and cannot be asked: {target.problem}",
            "set TURNGATE_URL and TURNGATE_TOKEN, or restart it: a start without its token file "
            "makes a new token",
        )
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            Client(target.url, target.token, name="turngate-doctor") as client,
        ):
            status = await client.status()
    except (TurngateError, TimeoutError) as error:
        if await asyncio.to_thread(_nobody_listens, target.url):
            return warn(
                f"{target.url} was one, and ended without a word",
                "start it again: turngate up goes on with what it has left",
            )
        why = str(error) or "it takes connections and says nothing"
        return fail(
            f"{target.url} should be one and does not answer: {why}",
            "if it is gone, start one: turngate up",
        )
    return judged(target.url, status)


def judged(url: str, status: Status) -> Finding:
    """What its answer means."""
    saw = f"{url} runs {status.version}, {status.model} answers"
    if status.version != version("turngate"):
        return warn(f"{saw}; this is {version('turngate')}", "restart the gateway")
    if status.model_problem:
        return warn(f"{saw} nobody: {status.model_problem}", "mend that, then restart the gateway")
    if status.reasons:
        fixes = dict.fromkeys(FIXES.get(reason, "") for reason in status.reasons)
        return warn(
            f"{saw}; it is {status.state}: {', '.join(status.reasons)}",
            "; ".join(filter(None, fixes)) or "look at its log",
        )
    return ok(f"{saw}, {status.turns_waiting} turns wait")


async def port(scene: Scene) -> Finding:
    """Free, or taken by the gateway of this home."""
    wanted = scene.settings.turngate_port
    if wanted == 0:
        return ok("any free one")
    ours = scene.target is not None and urlsplit(scene.target.url).port == wanted
    hosts = [host.strip() for host in scene.settings.turngate_host.split(",") if host.strip()]
    for host in hosts:
        if problem := await asyncio.to_thread(_refused, host, wanted):
            if ours:
                return ok(f"{wanted} belongs to the gateway that runs on this home")
            return problem
    return ok(f"{wanted} is free")


def _nobody_listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        pass  # it is there, and keeps its reasons
    return False


def _refused(host: str, wanted: int) -> Finding | None:
    try:
        infos = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, place in infos:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return fail(
                f"{host} port {wanted} is taken by {owner(wanted)}",
                f"stop that one, or TURNGATE_PORT={wanted + 1 if wanted < 65_535 else 0}",
            )
        return fail(
            f"cannot listen on {host} port {wanted}: {error.strerror}",
            "see turngate config explain TURNGATE_HOST",
        )
    return None
