"""The home folders in which this user has run gateways, so that a command can say where one is.

One small file a home in the user's state folder: its name is a hash, its text the path. No secret
is in there. Best effort: where nothing can be written, nothing is remembered.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from gateway.core.home import is_foreign
from gateway.core.state_folder import state_folder

MOST = 32
"""Homes remembered; the ones used longest ago are forgotten. People have two or three, tests many,
and each one costs a command that finds no gateway an attempt to read a file."""
MAX_BYTES = 4096
"""A path; longer ones cannot be opened."""


def folder() -> Path:
    """Where they are remembered. Raises `RuntimeError` where this user has no home directory."""
    return state_folder() / "homes"


def remember(home: Path) -> None:
    """Note a home in which a gateway begins to run."""
    path = os.fsencode(home.resolve())
    with suppress(OSError, RuntimeError):
        there = folder()
        there.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = there / hashlib.sha256(path).hexdigest()[:16]
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(path)
        for old in _newest_first(there)[MOST:]:
            old.unlink(missing_ok=True)


def known() -> list[Path]:
    """The homes remembered that are still folders of this user, the latest first."""
    found = []
    with suppress(OSError, RuntimeError):
        for file in _newest_first(folder())[:MOST]:
            with suppress(OSError, ValueError), file.open("rb") as text:
                home = Path(os.fsdecode(text.read(MAX_BYTES)))
                if home.is_dir() and not is_foreign(home):
                    found.append(home)
    return found


def _newest_first(there: Path) -> list[Path]:
    dated = [(entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(there)]
    return [Path(path) for _, path in sorted(dated, reverse=True)]
