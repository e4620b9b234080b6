"""Checks of the machine: Python, SQLite, who owns our package names, the clock, certificates."""

from __future__ import annotations

import asyncio
import platform
import sqlite3
import ssl
import sys
from importlib import metadata

from gateway.cli.doctor.check import Finding, Scene, fail, ok, warn

PACKAGES = ("gateway", "channels", "agents")
OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables (2021)."""
EARLIEST_S = 1_767_225_600
"""2026-01-01: a clock before this turngate was written is wrong."""
SKEW_S = 300
"""What files may be ahead of the clock: network folders have clocks of their own."""
SET_CLOCK = "set the clock, for example: timedatectl set-ntp true"


async def python(scene: Scene) -> Finding:
    """`make` refuses an older one; an installed command might meet it."""
    saw = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return fail(saw, "install Python 3.11 or newer, then: make clean run")
    return ok(saw)


async def sqlite(scene: Scene) -> Finding:
    """The library comes with Python, not with us."""
    saw = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return fail(saw, f"use a Python whose sqlite3 module has SQLite {oldest} or newer")
    return ok(saw)


async def packages(scene: Scene) -> Finding:
    """Another distribution with the name `agents` overwrites ours without a sound."""
    owners = await asyncio.to_thread(metadata.packages_distributions)
    strangers = {
        name: others
        for name in PACKAGES
        if (others := sorted(set(owners.get(name, ())) - {"turngate"}))
    }
    if strangers:
        saw = "; ".join(f"{name} also belongs to {', '.join(o)}" for name, o in strangers.items())
        return fail(saw, "install turngate in an environment where nothing else is installed")
    return ok(f"{', '.join(PACKAGES)} belong to turngate {metadata.version('turngate')}")


async def clock(scene: Scene) -> Finding:
    """Expiry, schedules and certificates go by it."""
    if scene.now_s < EARLIEST_S:
        return fail("the clock stands before 2026", SET_CLOCK)
    database = scene.settings.database
    try:
        written = database.stat().st_mtime if database is not None else 0.0
    except OSError:
        written = 0.0
    if written > scene.now_s + SKEW_S:
        ahead = round((written - scene.now_s) / 60)
        return warn(f"{database} was written {ahead} minutes in the future", SET_CLOCK)
    return ok("plausible")


async def certificates(scene: Scene) -> Finding:
    """Without them every https server looks like a stranger."""
    count = await asyncio.to_thread(_authorities)
    if count == 0:
        return warn(
            "this Python trusts no certificate authority, https to a model will fail",
            "install ca-certificates, or set SSL_CERT_FILE",
        )
    return ok(f"{count} authorities are trusted")


def _authorities() -> int:
    context = ssl.create_default_context()
    if count := context.cert_store_stats()["x509_ca"]:
        return count
    path = ssl.get_default_verify_paths()
    return 1 if path.capath else 0  # a folder is read when a connection needs it
