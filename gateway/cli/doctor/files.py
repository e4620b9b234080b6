"""Checks of files: who may read the secrets, what can be written, how much room there is."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from pathlib import Path

from gateway.cli.doctor.check import Finding, Scene, fail, ok, warn
from gateway.core import home as home_folder
from gateway.observing.self_check import LEAST_BYTES
from gateway.settings.network import TOKEN_FILE
from gateway.settings.sources import DOTENV, FILE_SUFFIX

LOW_BYTES = 1 << 30
"""Less than this and a busy gateway may run out within a day."""

FAR = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ceph",
        "afs",
        "lustre",
        "fuse.sshfs",
        "fuse.glusterfs",
    )
)
"""File systems that other machines serve."""


async def home(scene: Scene) -> Finding:
    """Where database and token live: to be written, by its owner alone."""
    folder, group = scene.settings.turngate_home, scene.settings.home_group
    if folder.exists() and not folder.is_dir():
        return fail(f"{folder} is not a folder", "set TURNGATE_HOME to a folder, or move that file")
    nearest = _nearest(folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        return fail(
            f"{nearest} cannot be written, so {folder} cannot be used",
            "set TURNGATE_HOME to a folder that can be written",
        )
    if not folder.exists():
        return ok(f"{folder} will be made")
    if home_folder.is_foreign(folder, group):
        return fail(
            f"{folder} belongs to another user, who could replace database and token",
            f"{home_folder.taking_over(folder)}, or set TURNGATE_HOME to a folder of your own",
        )
    if home_folder.is_open(folder, group):
        return fail(
            f"others on this machine may write to {folder}, and could replace database and token",
            home_folder.closing(folder),
        )
    open_ = [path for path in (folder, folder / TOKEN_FILE) if home_folder.is_readable(path, group)]
    if open_:
        names = " ".join(map(str, open_))
        return warn(f"others on this machine may read {names}", f"chmod go= {names}")
    return ok(f"{folder}, for its owner alone")


async def secrets(scene: Scene) -> Finding:
    """Files that hold a key: `.env`, and those that `…_FILE` variables name."""
    files = [scene.folder / DOTENV]
    files += [
        Path(path)
        for name, path in scene.environ.items()
        if name.endswith(f"_KEY{FILE_SUFFIX}") or name == f"TURNGATE_TOKEN{FILE_SUFFIX}"
    ]
    there = [path for path in files if path.is_file()]
    readable = [str(path) for path in there if path.stat().st_mode & stat.S_IROTH]
    if readable:
        names = " ".join(readable)
        return warn(f"everybody on this machine may read {names}", f"chmod go= {names}")
    return ok(", ".join(map(str, there)) or "no files with secrets")


async def space(scene: Scene) -> Finding:
    """A full disk refuses every message; one of another machine breaks what SQLite relies on."""
    database = scene.settings.database
    if database is None:
        return ok("the database is no file here")
    folder = _nearest(database.parent)
    free = shutil.disk_usage(folder).free
    room = f"{free / (1 << 30):.1f} GiB" if free >= LOW_BYTES else f"{free >> 20} MiB"
    saw = f"{room} free in {folder}"
    fix = "make room, or set TURNGATE_HOME to a larger disk"
    if free < LEAST_BYTES:
        return fail(saw, fix)
    if far := _far(folder.resolve(), await asyncio.to_thread(_mounts)):
        return warn(
            f"{folder} is on a file system of another machine ({far}), where the locks and the log "
            "of SQLite cannot be relied on",
            "set TURNGATE_HOME to a local disk",
        )
    return warn(saw, fix) if free < LOW_BYTES else ok(saw)


def _far(folder: Path, mounts: str) -> str:
    """The kind of a file system that is not this machine's own; empty for one that is."""
    kinds = {}
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        kinds[Path(place.replace("\\040", " "))] = kind
    kind = next((kinds[path] for path in (folder, *folder.parents) if path in kinds), "")
    return kind if kind in FAR else ""


def _mounts() -> str:
    """What is mounted where; Linux alone tells."""
    try:
        return Path("/proc/self/mounts").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _nearest(folder: Path) -> Path:
    """The folder itself, or the one it would be made in."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
